import { stat } from 'node:fs/promises';
import type { Finding } from '../engine.ts';
import type { RuncContainer } from './config.ts';

/** Whether what the container is made of is on this host. */
export async function sourceFindings(container: RuncContainer): Promise<Finding[]> {
  const findings: Finding[] = [];
  if (!(await exists(container.rootfs))) {
    findings.push({
      code: 'ROOTFS_MISSING',
      message: `there is no root file system at ${container.rootfs}`,
      mend: 'put the same root file system there as at the source',
    });
  }
  for (const { source } of container.mounts) {
    if (await exists(source)) continue;
    findings.push({
      code: 'MOUNT_SOURCE_MISSING',
      message: `there is no ${source} to mount`,
      mend: 'create it, with the same content as at the source if the app relies on it',
    });
  }
  return findings;
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}
