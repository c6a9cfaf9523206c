import { HoldfastError } from '../../errors.ts';
import type { DockerApi } from './settings/docker-api.ts';
import type { Inspected } from './settings/inspected.ts';
import type { VolumePlan } from './settings/settings.ts';

/** A directory of a container's files, and the name of the stream it travels on. */
export interface Tree {
  readonly what: string;
  readonly dir: string;
  /** Where the container has it. */
  readonly inside: readonly string[];
}

/** What a container has written to its own file system, above its image. */
export const WRITTEN = 'tree-written';
const VOLUME = 'tree-volume-';

/** The directories of a container's files here: what it has written, and its volumes but for those both hosts share. */
export async function treesOf(
  api: DockerApi,
  { Id, GraphDriver }: Inspected,
  volumes: readonly VolumePlan[],
): Promise<readonly Tree[]> {
  const upper = GraphDriver.Data?.UpperDir;
  if (upper === undefined) throw noFiles(`what the container ${Id} has written`);
  const trees: Tree[] = [{ what: WRITTEN, dir: upper, inside: ['/'] }];
  for (const [index, { name, shared, destinations }] of volumes.entries()) {
    if (shared) continue;
    const dir = (await api.volume(name))?.Mountpoint;
    if (dir === undefined) throw noFiles(`the volume ${name}`);
    trees.push({ what: `${VOLUME}${index}`, dir, inside: destinations });
  }
  return trees;
}

function noFiles(what: string): HoldfastError {
  return new HoldfastError('DOCKER_UNSUITABLE', `Docker does not tell where it keeps ${what}`, {
    mend: 'see docs/docker-settings.md for what an engine must be like',
  });
}
