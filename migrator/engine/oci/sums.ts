import { Xxh64 } from '@node-rs/xxhash';
import { sumContainer } from '../../verify/container-sums.ts';
import type { ProcessSum, RangeSum } from '../engine.ts';

interface SumOptions {
  readonly imagesDir: string;
  readonly ownMounts: readonly string[];
  readonly signal: AbortSignal;
}

export async function sumProcesses(pids: readonly number[], options: SumOptions): Promise<ProcessSum[]> {
  const all: ProcessSum[] = [];
  for await (const { pidInside, sums } of sumContainer(pids, options)) {
    const whole = new Xxh64();
    for (const { start, sum } of sums.ranges()) whole.update(`${start}:${sum} `);
    all.push({ pid: pidInside, sizeBytes: sums.sizeBytes, sum: whole.digest().toString(16) });
  }
  return all;
}

export async function sumRanges(
  pids: readonly number[],
  only: number,
  options: SumOptions,
): Promise<RangeSum[]> {
  const all: RangeSum[] = [];
  for await (const { sums } of sumContainer(pids, { ...options, only })) {
    for (const { start, sum } of sums.ranges()) all.push({ start: start.toString(16), sum });
  }
  return all;
}
