import type { EngineImages } from './engine-images.ts';

export interface Names {
  /** Now the image's at the destination. */
  readonly names: string[];
  /** Another image's there, and left to it: something else is started by that name. */
  readonly namesTaken: string[];
}

/**
 * Give the image the names it has at the source, but for those that another image has here.
 *
 * @returns undefined when the image is not there any more
 */
export async function giveNames(
  images: EngineImages,
  imageId: string,
  wanted: readonly string[],
  signal: AbortSignal,
): Promise<Names | undefined> {
  const given: Names = { names: [], namesTaken: [] };
  for (const name of wanted) {
    const owner = await images.find(name, signal);
    if (owner !== undefined && owner.id !== imageId) {
      given.namesTaken.push(name);
      continue;
    }
    if (owner === undefined && !(await images.tag(imageId, name, signal))) return undefined;
    given.names.push(name);
  }
  return given;
}
