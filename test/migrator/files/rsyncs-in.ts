import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

/** The rsyncs that work in this directory or below it. */
export function rsyncsIn(dir: string): string[] {
  return readdirSync('/proc')
    .filter((pid) => /^\d+$/.test(pid))
    .filter((pid) => {
      try {
        const isHere = readlinkSync(`/proc/${pid}/cwd`).startsWith(dir);
        return isHere && readFileSync(`/proc/${pid}/comm`, 'utf8').trim() === 'rsync';
      } catch {
        return false; // It has ended meanwhile.
      }
    });
}
