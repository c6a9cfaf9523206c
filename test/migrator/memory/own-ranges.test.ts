import { open, writeFile } from 'node:fs/promises';
import path from 'node:path';
import t, { type Test } from 'tap';
import type { Range } from '../../../migrator/memory/block.ts';
import { isPresent, isWritten, ownRanges } from '../../../migrator/memory/own-ranges.ts';
import { systemPageBytes } from '../../../migrator/memory/system-page.ts';

/** Bits of an entry as proc_pid_pagemap(5) counts them, of both halves. */
const PRESENT = 1n << 63n;
const SWAPPED = 1n << 62n;
const FILE_OR_SHARED = 1n << 61n;
const GUARD = 1n << 58n;
const PLACE = 0x12345n;

/** The pages, by their numbers, that are found in a page map of these entries. */
async function found(
  t: Test,
  entries: readonly bigint[],
  isOne: (flags: number) => boolean,
  area: Range = { start: 0, end: entries.length },
): Promise<[first: number, end: number][]> {
  const file = path.join(t.testdir(), 'pagemap');
  const text = Buffer.alloc(entries.length * 8);
  entries.forEach((entry, index) => {
    text.writeBigUInt64LE(entry, index * 8);
  });
  await writeFile(file, text);
  const pagemap = await open(file);
  try {
    const ranges: [number, number][] = [];
    const addresses = { start: area.start * systemPageBytes, end: area.end * systemPageBytes };
    for await (const { start, end } of ownRanges(pagemap, addresses, isOne))
      ranges.push([start / systemPageBytes, end / systemPageBytes]);
    return ranges;
  } finally {
    await pagemap.close();
  }
}

t.test('pages that lie side by side are one range', async (t) => {
  const entries = [PRESENT | PLACE, PRESENT, 0n, PRESENT, 0n, 0n, PRESENT];
  t.same(await found(t, entries, isPresent), [
    [0, 2],
    [3, 4],
    [6, 7],
  ]);
  t.same(await found(t, entries, isPresent, { start: 1, end: 6 }), [
    [1, 2],
    [3, 4],
  ]);
});

t.test('what is swapped out was written, and is not in memory', async (t) => {
  const entries = [PRESENT, SWAPPED | PLACE, 0n];
  t.same(await found(t, entries, isPresent), [[0, 1]]);
  t.same(await found(t, entries, isWritten), [[0, 2]]);
});

t.test('pages of files, shared ones and guards are not its own', async (t) => {
  const entries = [PRESENT | FILE_OR_SHARED, SWAPPED | FILE_OR_SHARED, SWAPPED | GUARD];
  t.same(await found(t, entries, isPresent), []);
  t.same(await found(t, entries, isWritten), []);
});

t.test('a range goes on over whatever is read at a time', async (t) => {
  const entries = new Array<bigint>(64 * 1024 + 2).fill(PRESENT);
  entries[entries.length - 1] = 0n;
  t.same(await found(t, entries, isPresent), [[0, entries.length - 1]]);
});

t.test('a page map that ends before its area does is of a process that has ended', async (t) => {
  await t.rejects(found(t, [PRESENT], isPresent, { start: 0, end: 2 }), /no page map/);
});
