import { HoldfastError } from '../../../errors.ts';
import type { EngineImages } from './engine-images.ts';
import { layersUnavailable } from './errors.ts';
import type { ImageBlob } from './image-blobs.ts';
import { filesOf } from './tar.ts';

const BLOB = /^blobs\/sha256\/([0-9a-f]{64})$/;

/**
 * Blobs of an image, read from what `docker save` writes, in its order; it names files by their digests and has layers
 * uncompressed. It is read no further than to the last one wanted.
 *
 * @throws HoldfastError `LAYERS_UNAVAILABLE`, `DOCKER_IMAGES_FAILED`
 */
export async function* savedBlobs(
  images: EngineImages,
  imageId: string,
  wanted: Iterable<string>,
  signal: AbortSignal,
): AsyncGenerator<ImageBlob> {
  const missing = new Set(wanted);
  if (missing.size === 0) return;
  const archive = await images.save(imageId, signal);
  try {
    for await (const { name, sizeBytes, content } of filesOf(archive)) {
      const hex = BLOB.exec(name)?.[1];
      const digest = `sha256:${hex}`;
      if (hex === undefined || !missing.delete(digest)) continue;
      yield { digest, sizeBytes, content: told(content, imageId) };
      if (missing.size === 0) return;
    }
  } catch (error) {
    if (signal.aborted) throw signal.reason;
    throw error instanceof HoldfastError ? error : brokenOff(imageId, error);
  }
  throw layersUnavailable(imageId, `${[...missing].join(', ')} is not among what docker save writes`);
}

async function* told(content: AsyncIterable<Buffer>, imageId: string): AsyncGenerator<Buffer> {
  try {
    yield* content;
  } catch (error) {
    throw brokenOff(imageId, error);
  }
}

function brokenOff(imageId: string, error: unknown): HoldfastError {
  return layersUnavailable(imageId, 'docker save broke off', error);
}
