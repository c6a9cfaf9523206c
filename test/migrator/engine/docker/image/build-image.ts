import { randomBytes } from 'node:crypto';
import { buffer, text } from 'node:stream/consumers';
import type Docker from 'dockerode';
import { blobPath, digestOf, packed } from './made-up-engine.ts';

/** Stands in every layer here and there, for whoever wants to damage one. */
export const MARK = Buffer.from('here it may be damaged');

/** A layer with one file that cannot be compressed. */
export async function randomLayer(sizeBytes: number): Promise<Buffer> {
  const content = randomBytes(sizeBytes);
  for (let at = 0; at + MARK.length < sizeBytes; at += 4096) MARK.copy(content, at);
  return buffer(packed([[`srv/ballast-${digestOf(content).slice(7, 20)}`, content]]));
}

/**
 * Make an image in an engine, as a build does, and always the same of the same.
 *
 * @param on what it stands on: an image that the engine has
 * @returns its id
 */
export async function buildImage(
  docker: Docker,
  layers: readonly Buffer[],
  name: string,
  on?: string,
): Promise<string> {
  const base = on === undefined ? undefined : await docker.getImage(on).inspect();
  const diffIds = [...(base?.RootFS?.Layers ?? []), ...layers.map(digestOf)];
  const { Cmd, Env, WorkingDir, ExposedPorts } = base?.Config ?? { Cmd: ['/srv/nothing'] };
  const config = Buffer.from(
    JSON.stringify({
      architecture: process.arch === 'x64' ? 'amd64' : process.arch,
      os: 'linux',
      config: { Cmd, Env, WorkingDir, ExposedPorts },
      rootfs: { type: 'layers', diff_ids: diffIds },
      history: diffIds.map(() => ({ created_by: 'a test' })),
    }),
  );
  const id = digestOf(config);
  const manifest = [{ Config: blobPath(id), RepoTags: [name], Layers: diffIds.map(blobPath) }];
  const archive = packed([
    ['manifest.json', Buffer.from(JSON.stringify(manifest))],
    [blobPath(id), config],
    ...layers.map((layer) => [blobPath(digestOf(layer)), layer] as const),
  ]);
  const said = await text(await docker.loadImage(archive, { quiet: true }));
  if (!said.includes('Loaded image')) throw new Error(said);
  return id;
}
