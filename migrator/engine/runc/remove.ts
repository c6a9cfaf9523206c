import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { run } from '../../process.ts';
import { ContainerState } from '../engine.ts';
import { killOperation } from '../oci/operation.ts';
import { RESTORE_LOG, removeScratch } from '../oci/restore.ts';
import { readState } from '../oci/state.ts';
import type { RuncPaths } from './paths.ts';

/**
 * Kill a container in whatever condition it is, running, frozen, half made or half restored, and leave nothing of it:
 * no process, no cgroup, no mount, no record.
 */
export async function removeContainer(paths: RuncPaths, name: string, signal: AbortSignal): Promise<void> {
  const { state, cgroup } = await readState(paths.containerOf(name));
  const stateDir = join(paths.runcRoot, name);
  // First the container, so that a dump under way has nothing left to harm; then the operation; then whatever a
  // restore under way had brought to life in between.
  await cgroup.kill(signal);
  const logDir = await killOperation(paths.containerOf(name).operationFile, signal);
  await cgroup.kill(signal);
  // Before anything is deleted there: a restore that was killed has left the root file system mounted.
  await unmountBelow([stateDir, paths.bundleDir(name)], signal);
  if (state !== ContainerState.absent) {
    // It fails on a half-written record. What it would have removed is removed below.
    await run('runc', ['--root', paths.runcRoot, 'delete', '--force', name], { signal, okCodes: [0, 1] });
  }
  await rm(stateDir, { recursive: true, force: true });
  await cgroup.remove();
  if (logDir !== undefined) await removeScratch(join(logDir, RESTORE_LOG));
  await rm(paths.bundleDir(name), { recursive: true, force: true });
}

/** @throws when something is mounted there still: what is removed next would be its content, the root file system's */
async function unmountBelow(dirs: readonly string[], signal: AbortSignal): Promise<void> {
  for (const point of (await mountsBelow(dirs)).reverse())
    await run('umount', ['-l', point], { signal, okCodes: [0, 32] });
  const [left] = await mountsBelow(dirs);
  if (left !== undefined) throw new Error(`${left} could not be unmounted`);
}

async function mountsBelow(dirs: readonly string[]): Promise<string[]> {
  const mounts = await readFile('/proc/self/mountinfo', 'utf8');
  const points = mounts.split('\n').map((line) => line.split(' ')[4] ?? '');
  return points.filter((point) => dirs.some((dir) => point.startsWith(`${dir}/`)));
}
