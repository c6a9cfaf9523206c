import type { EngineImages, ImageHere } from './engine-images.ts';
import { LayerStore } from './layer-store.ts';
import { savedBlobs } from './saved-image.ts';

/** What an image is made of: its configuration, or a layer as an uncompressed tar. */
export interface ImageBlob {
  readonly digest: string;
  readonly sizeBytes: number;
  /** To be read before the next blob is asked for. */
  readonly content: AsyncIterable<Buffer>;
}

/**
 * Blobs of an image, from where Docker keeps them; what is not kept there in the way that is known, from `docker save`.
 *
 * @throws HoldfastError `LAYERS_UNAVAILABLE`, `DOCKER_IMAGES_FAILED`
 */
export async function* imageBlobs(
  images: EngineImages,
  image: ImageHere,
  wanted: Iterable<string>,
  signal: AbortSignal,
): AsyncGenerator<ImageBlob> {
  const dataRoot = await images.dataRoot(signal);
  const store = dataRoot === undefined ? undefined : new LayerStore(dataRoot);
  const others: string[] = [];
  for (const digest of new Set(wanted)) {
    const blob = await store?.blob(image, digest, signal);
    if (blob === undefined) others.push(digest);
    else yield blob;
  }
  yield* savedBlobs(images, image.id, others, signal);
}
