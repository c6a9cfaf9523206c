import { release } from 'node:os';
import { compareVersions, oldestCriu } from '../../criu/version.ts';
import type { Finding } from '../engine.ts';

/** Whether this host's CRIU knows this host's kernel. */
export function criuFinding(version: string): Finding[] {
  const oldest = oldestCriu();
  if (compareVersions(version, oldest) >= 0) return [];
  return [
    {
      code: 'CRIU_TOO_OLD',
      message: `CRIU ${version} cannot checkpoint on Linux ${release()}: ${oldest} is the oldest that can`,
      mend: `install CRIU ${oldest} or newer on this host`,
    },
  ];
}
