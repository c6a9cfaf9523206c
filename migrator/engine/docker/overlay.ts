import { readFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { run } from '../../process.ts';

/**
 * Mount a container's file system anew that nobody uses yet: an overlay does not notice what is written to its layers from
 * outside while it is mounted. Nothing is done where it is not mounted. Where it is bound to as well, as by a `runc restore`
 * that waits, it is bound to again: an overlay that is mounted in two places is one, and as old as the first.
 */
export async function mountAnew(mergedDir: string, signal: AbortSignal): Promise<void> {
  const mounts = (await readFile('/proc/self/mountinfo', 'utf8')).split('\n').map((line) => line.split(' '));
  const mount = mounts.findLast((fields) => fields[4] === mergedDir);
  if (mount === undefined) return;
  const [, source = 'overlay', superOptions = ''] = mount.slice(mount.indexOf('-') + 1);
  const flags = mount[5] ?? '';
  const bound = mounts.filter((fields) => fields[2] === mount[2] && fields[4] !== mergedDir);
  const bindings = bound.map((fields) => fields[4] ?? '');
  for (const point of [...bindings, mergedDir]) await run('umount', [point], { signal });
  // Docker writes layers as paths from its own directory where there are many.
  const cwd = dirname(dirname(mergedDir));
  const options = `${flags},${superOptions}`;
  // The kernel's newer mount calls take no more than 256 bytes of layers: three of them are too many.
  const env = { ...process.env, LIBMOUNT_FORCE_MOUNT2: 'always' };
  await run('mount', ['-t', 'overlay', '-o', options, source, mergedDir], { signal, cwd, env });
  for (const point of bindings) await run('mount', ['--bind', mergedDir, point], { signal });
}
