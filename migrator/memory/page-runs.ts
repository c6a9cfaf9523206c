import type { PageRun } from '../criu/pagemap.ts';
import { PAGE_BYTES } from '../transfer/frame.ts';

export type GrowingRun = { -readonly [Key in keyof PageRun]: PageRun[Key] };

/** Neighbours of the same kind make one run, which grows in place: this is done for each page while the app is frozen. */
export function append(runs: GrowingRun[], address: number, pages: number, flags: number): void {
  const last = runs.at(-1);
  if (last?.flags === flags && last.address + last.pages * PAGE_BYTES === address) last.pages += pages;
  else runs.push({ address, pages, flags });
}
