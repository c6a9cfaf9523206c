import { createReadStream } from 'node:fs';
import { Readable } from 'node:stream';
import type { SpooledBlob } from './spooled-blob.ts';
import { archiveOf } from './tar.ts';

/**
 * An archive for `docker load` that has only some of an image's layers: Docker opens the file of a layer only when it lacks
 * it. Names are left out, because a load takes them from whichever image has them.
 */
export function imageArchive(
  imageId: string,
  layers: readonly string[],
  blobs: readonly SpooledBlob[],
): Readable {
  const manifest = [{ Config: blobPath(imageId), RepoTags: null, Layers: layers.map(blobPath) }];
  const content = Buffer.from(JSON.stringify(manifest));
  const files = [
    { name: 'manifest.json', sizeBytes: content.length, content: [content] },
    ...blobs.map(({ digest, path, sizeBytes }) => ({
      name: blobPath(digest),
      sizeBytes,
      content: contentOf(path),
    })),
  ];
  return Readable.from(archiveOf(files), { objectMode: false });
}

/** Opened when it is its turn, not before. */
async function* contentOf(file: string): AsyncGenerator<Buffer> {
  yield* createReadStream(file, { highWaterMark: 512 * 1024 });
}

function blobPath(digest: string): string {
  return `blobs/${digest.replace(':', '/')}`;
}
