import { readFileSync } from 'node:fs';
import { PAGE_BYTES } from '../transfer/frame.ts';

/** The kernel's page size is in the auxiliary vector, see getauxval(3). */
const AT_PAGESZ = 6n;

/** How large the pages of this host are. */
export const systemPageBytes = readSystemPageBytes();

function readSystemPageBytes(): number {
  const vector = readFileSync('/proc/self/auxv');
  for (let at = 0; at + 16 <= vector.length; at += 16) {
    if (vector.readBigUInt64LE(at) === AT_PAGESZ) return Number(vector.readBigUInt64LE(at + 8));
  }
  return PAGE_BYTES;
}

/** Why memory is not read here and sent ahead, if so: pages are what everything is counted in. */
export function whyNotRead(pageBytes = systemPageBytes): string | undefined {
  if (pageBytes === PAGE_BYTES) return undefined;
  return `memory is not sent ahead: this host has pages of ${pageBytes / 1024} KiB, and only 4 KiB are known`;
}
