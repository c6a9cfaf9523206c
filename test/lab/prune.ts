import { readdirSync, rmSync, statSync } from 'node:fs';
import path from 'node:path';
import { allDisksDir, disksDir, labDir } from './names.ts';
import { removeLab } from './remove.ts';
import { isAlive, labNames, readState } from './state.ts';

/** A lab this young may be one whose state is being written right now. */
const YOUNG_MS = 60_000;

/** Remove what runs have left that were killed before they could clean up; the names of the labs removed. */
export function pruneLabs(): string[] {
  const orphans = labNames().filter(isOrphan);
  for (const lab of orphans) removeLab(lab);
  for (const lab of disks()) {
    // Left by a machine that went down: /run did not survive that, the disk has.
    if (!labNames().includes(lab)) rmSync(disksDir(lab), { recursive: true, force: true });
  }
  return orphans;
}

function isOrphan(lab: string): boolean {
  const state = readState(lab);
  if (state !== null) return state.owner !== null && !isAlive(state.owner);
  const made = statSync(labDir(lab), { throwIfNoEntry: false });
  return made !== undefined && Date.now() - made.mtimeMs > YOUNG_MS;
}

function disks(): string[] {
  try {
    return readdirSync(path.join(allDisksDir));
  } catch {
    return [];
  }
}
