import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { closeOuterConnections } from '../../criu/tcp-sockets.ts';
import { HoldfastError } from '../../errors.ts';

/** For `runc restore`: without it runc says no to CRIU, whatever CRIU's configuration says. */
export const WITH_CONNECTIONS = ['--tcp-established'];

/**
 * A checkpoint that CRIU has made with `tcp-established` has every connection of the container in it. Of those only what it
 * has to itself can go on at another address: the others are taken out.
 *
 * @returns whether it is such a checkpoint, to be restored with `tcp-established`
 * @throws HoldfastError `IMAGES_DAMAGED`
 */
export async function keepInnerConnections(imagesDir: string): Promise<boolean> {
  const images = await readdir(imagesDir);
  if (!images.some((name) => name.startsWith('tcp-stream-'))) return false;
  const files = join(imagesDir, 'files.img');
  try {
    await writeFile(files, closeOuterConnections(await readFile(files)));
  } catch (cause) {
    throw new HoldfastError('IMAGES_DAMAGED', 'files.img of the checkpoint is missing or not understood', {
      mend: 'run a version of CRIU that this release was tested with',
      cause,
    });
  }
  return true;
}
