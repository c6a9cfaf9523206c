import { getPriority, setPriority } from 'node:os';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/** An app that stands still is waited for, whatever else wants the processor. */
const NICE = -10;

/** Of this process when it began. */
const usualNice = getPriority();
/** What is waited for comes in several calls: the haste goes on from one to the next. */
const LINGER_MS = 250;

/** Pieces of work under way. */
let underWay = 0;
/** Set while there are none, and the haste goes on. */
let ending: NodeJS.Timeout | undefined;
let collect: (() => void) | undefined;

/**
 * Have this process ready for a freeze that comes shortly: what would be done in it, in its time and in that of its
 * threads, is done now. It takes some 50 ms.
 *
 * Every buffer that passed through counts for the collector of garbage as an object would, so that after rounds of pages it
 * is always about to begin. And code that did not run between a few collections is thrown away, to be compiled anew.
 */
export function prepareHaste(): void {
  if (collect === undefined) {
    setFlagsFromString('--no-flush-bytecode');
    setFlagsFromString('--expose-gc');
    collect = runInNewContext('gc') as () => void;
  }
  collect();
}

/**
 * Do what a frozen app waits for: meanwhile, and for a moment after it, this thread and the programs that it starts come
 * before others on this host.
 * CRIU gives restored processes the priority that they had.
 */
export async function hastily<T>(work: () => Promise<T>): Promise<T> {
  if (underWay++ === 0) begin();
  try {
    return await work();
  } finally {
    if (--underWay === 0) ending = setTimeout(end, LINGER_MS).unref();
  }
}

/** Have what this starts, before it returns, be no part of the haste: it may live longer, and is not what is waited for. */
export function leisurely<T>(start: () => T): T {
  const nice = getPriority();
  prioritize(usualNice);
  try {
    return start();
  } finally {
    prioritize(nice);
  }
}

/** From now on this thread comes before others on this host. */
export function goFirst(): void {
  prioritize(Math.min(NICE, usualNice));
}

/** Have a program that was started in haste take its turn with everybody. */
export function slowDown(pid: number): void {
  prioritize(usualNice, pid);
}

function begin(): void {
  if (ending !== undefined) {
    clearTimeout(ending);
    ending = undefined;
    return;
  }
  goFirst();
  setFlagsFromString('--no-incremental-marking');
}

function end(): void {
  ending = undefined;
  prioritize(usualNice);
  setFlagsFromString('--incremental-marking');
}

/** On Linux this is of the main thread alone. Who may not is as slow as before. */
function prioritize(nice: number, pid = 0): void {
  try {
    setPriority(pid, nice);
  } catch {}
}
