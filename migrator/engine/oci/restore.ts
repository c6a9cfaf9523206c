import { rmdir } from 'node:fs/promises';
import { join } from 'node:path';
import { anySignal } from '../../any-signal.ts';
import { criuError, Phase } from '../../criu/errors.ts';
import { readLog } from '../../criu/log.ts';
import { watchRunaway } from '../../criu/runaway.ts';
import type { Workspace } from '../engine.ts';
import { CGROUPS_BY_RUNC, imageArgs } from './checkpoint.ts';
import type { RuncResult } from './runc.ts';

/** CRIU's own name for it. */
export const RESTORE_LOG = 'restore.log';
const RUNAWAY = 'CRIU went on reading without end: the page images are too short';

/** `runc restore`'s arguments, without the container's own. */
export function restoreArgs(workspace: Workspace): string[] {
  return [...CGROUPS_BY_RUNC, ...imageArgs(workspace)];
}

/**
 * Have runc restore, and tell what CRIU said when it cannot.
 *
 * @param restore runs it to its end, or until its signal fires
 * @param cleanUp leave nothing of a container that was restored in part
 * @throws HoldfastError `RESTORE_FAILED`
 */
export async function restoreWatched(
  { workDir }: Workspace,
  restore: (signal: AbortSignal) => Promise<RuncResult>,
  { cleanUp, signal }: { cleanUp: () => Promise<void>; signal: AbortSignal },
): Promise<void> {
  const logFile = join(workDir, RESTORE_LOG);
  const runaway = watchRunaway(logFile);
  try {
    const { code, said } = await restore(anySignal([signal, runaway.signal]));
    if (code !== 0) throw await criuError(Phase.restore, logFile, said);
  } catch (error) {
    await cleanUp();
    await removeScratch(logFile);
    if (runaway.signal.aborted) throw await criuError(Phase.restore, logFile, RUNAWAY);
    throw error;
  } finally {
    runaway.stop();
  }
}

/** CRIU makes directories in /tmp to mount under, and leaves them there when it is killed. Its log names them. */
export async function removeScratch(logFile: string): Promise<void> {
  const log = await readLog(logFile);
  for (const dir of new Set(log.match(/\/tmp\/\.criu\.[a-z]+\.[A-Za-z0-9]{6}/g)))
    await rmdir(dir).catch(() => {});
}
