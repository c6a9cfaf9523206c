import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { HoldfastError } from '../../migrator/errors.ts';
import { cgroupsOf, processesOf, removeCgroups, thaw } from './cgroups.ts';
import { checkName, disksDir, labDir } from './names.ts';
import { linksOf, releaseSubnet } from './network.ts';
import { cleanEnv } from './started.ts';

const REMOVE_TIMEOUT_MS = 10_000;
const POLL_MS = 2;

/**
 * Remove everything a lab has on this machine, known by its name alone. Waits without yielding, because it must
 * also work in a process that is about to exit; it takes some ten milliseconds.
 *
 * @throws HoldfastError `LAB_NOT_GONE` when something would not go within ten seconds
 */
export function removeLab(lab: string): void {
  checkName(lab); // It becomes part of paths that are removed.
  const links = linksOf(lab);
  if (links.length > 0) {
    const input = links.map((link) => `link del dev ${link}\n`).join('');
    spawnSync('ip', ['-force', '-batch', '-'], { input, timeout: REMOVE_TIMEOUT_MS, env: cleanEnv() });
  }
  const deadline = performance.now() + REMOVE_TIMEOUT_MS;
  while (!endProcesses(lab) || !removeCgroups(lab)) {
    if (performance.now() > deadline) {
      const left = leftovers(lab).join(', ');
      throw new HoldfastError('LAB_NOT_GONE', `lab ${lab} could not be removed: ${left}`, {
        mend: `try again: npm run lab -- down --name ${lab}`,
        retryable: true,
      });
    }
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, POLL_MS);
  }
  rmSync(disksDir(lab), { recursive: true, force: true });
  releaseSubnet(lab);
  rmSync(labDir(lab), { recursive: true, force: true });
}

/** Kill what runs in the lab's groups; true when nothing does any more. */
function endProcesses(lab: string): boolean {
  const groups = cgroupsOf(lab);
  const pids = processesOf(groups);
  for (const pid of pids) {
    try {
      process.kill(pid, 'SIGKILL');
    } catch {
      // Gone by itself.
    }
  }
  if (pids.length > 0) thaw(groups);
  return pids.length === 0;
}

/** What is still on the machine of a lab: links, groups, processes, mounts, files. Empty when all is gone. */
export function leftovers(lab: string): string[] {
  const groups = cgroupsOf(lab);
  return [
    ...linksOf(lab).map((link) => `link ${link}`),
    ...groups.map((group) => `cgroup ${group}`),
    ...processesOf(groups).map((pid) => `process ${pid}`),
    ...processesSeeing(`${labDir(lab)}/`).map((pid) => `mounts of process ${pid}`),
    ...[labDir(lab), disksDir(lab)].filter((dir) => existsSync(dir)).map((dir) => `directory ${dir}`),
  ];
}

/** Processes in whose mount namespace something of `dir` is mounted: a host's overlay names it even after pivot_root. */
function processesSeeing(dir: string): number[] {
  return readdirSync('/proc')
    .filter((entry) => /^\d+$/.test(entry))
    .filter((pid) => {
      try {
        return readFileSync(`/proc/${pid}/mountinfo`, 'utf8').includes(dir);
      } catch {
        return false;
      }
    })
    .map(Number);
}
