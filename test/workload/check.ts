import { createHash } from 'node:crypto';
import type { AppState } from './app-state.ts';
import type { Exchange } from './exchange.ts';

export const Chain = { unbroken: 'unbroken', broken: 'broken' } as const;
export type Chain = (typeof Chain)[keyof typeof Chain];

export interface Verdict {
  readonly requests: number;
  readonly failed: number;
  /** Answered well, but no longer part of what the app knows. */
  readonly lost: number;
  /** Carried out more than once. */
  readonly duplicated: number;
  /** Answers to another's request, wrong digests of bodies, counters that do not step by one. */
  readonly corrupted: number;
  readonly chain: Chain;
  /** The ids of those lost and duplicated, to tell when it was. */
  readonly lostIds: ReadonlySet<string>;
  readonly duplicatedIds: ReadonlySet<string>;
  /** The first faults, in words. */
  readonly faults: readonly string[];
}

type Answered = Extract<Exchange, { outcome: 'answered' }>;

const MOST_FAULTS = 20;

/**
 * Hold everything that users were told against what the app knows at the end.
 *
 * Walks the chain from its head down. Of several answers with the same number only the one whose hash the rest is
 * built on is part of the app's memory: the others were lost with the copy of the app that gave them. A number nobody
 * was answered for is allowed only where a request failed that may have been carried out. The load must be the
 * app's only visitor since its start.
 */
export function check(exchanges: readonly Exchange[], state: AppState): Verdict {
  const faults: string[] = [];
  const fault = (text: string) => {
    if (faults.length < MOST_FAULTS) faults.push(text);
  };
  const answered = exchanges.filter((one): one is Answered => one.outcome === 'answered');
  for (const one of exchanges) {
    if (one.outcome === 'failed') fault(`${one.method} ${one.id} failed: ${one.reason}`);
  }
  const failed = exchanges.length - answered.length;
  const walk = walkChain(answered, state, fault);
  const spare = failed - walk.unanswered;
  if (spare < 0) fault(`${-spare} entries of the chain belong to no request that was made`);
  const corrupted = countCorrupted(answered, fault) + countMiscounted(walk.kept, exchanges, fault);
  if (state.duplicates > 0) fault(`the app saw ${state.duplicates} request ids more than once`);
  return {
    requests: exchanges.length,
    failed,
    lost: walk.lostIds.size,
    // What the app saw twice and what users saw twice are two views of the same: the larger is the number.
    duplicated: Math.max(state.duplicates, walk.duplicatedIds.size, -spare, 0),
    corrupted,
    chain: walk.links ? Chain.unbroken : Chain.broken,
    lostIds: walk.lostIds,
    duplicatedIds: walk.duplicatedIds,
    faults,
  };
}

interface Walk {
  readonly kept: Answered[];
  readonly lostIds: Set<string>;
  readonly duplicatedIds: Set<string>;
  readonly unanswered: number;
  readonly links: boolean;
}

function walkChain(answered: readonly Answered[], state: AppState, fault: (text: string) => void): Walk {
  const bySeq = groupBy(answered, (one) => one.answer.seq);
  const lostIds = new Set<string>();
  const duplicatedIds = new Set<string>();
  const kept: Answered[] = [];
  const lose = (one: Answered, why: string) => {
    lostIds.add(one.id);
    fault(`${one.id} was answered as number ${one.answer.seq} and is lost: ${why}`);
  };
  for (const [seq, all] of bySeq) {
    if (seq > state.seq) for (const one of all) lose(one, `the app knows only ${state.seq}`);
  }
  let links = true;
  let unanswered = 0;
  /** The hash the entry at hand must have; unknown below an entry whose answer nobody got. */
  let expected: string | undefined = state.head;
  for (let seq = state.seq; seq >= 1; seq -= 1) {
    const candidates: Answered[] = bySeq.get(seq) ?? [];
    const one: Answered | undefined =
      candidates.find(({ answer }) => expected === undefined || answer.hash === expected) ?? candidates[0];
    if (one === undefined) {
      unanswered += 1;
      expected = undefined;
      continue;
    }
    for (const other of candidates) {
      if (other === one) continue;
      if (other.id === one.id) duplicatedIds.add(one.id);
      else lose(other, `${one.id} has that number`);
    }
    if (expected !== undefined && one.answer.hash !== expected) {
      links = false;
      fault(`the chain breaks after number ${seq} (${one.id})`);
    }
    if (hashOf(one) !== one.answer.hash) {
      links = false;
      fault(`number ${seq} (${one.id}) has a hash that does not follow from the one before`);
    }
    kept.push(one);
    expected = one.answer.prev;
  }
  if (expected !== undefined && !/^0+$/.test(expected)) {
    links = false;
    fault('the chain does not begin at its beginning');
  }
  for (const [id, all] of groupBy(kept, (one) => one.id)) {
    if (all.length < 2) continue;
    duplicatedIds.add(id);
    fault(`${id} was carried out ${all.length} times`);
  }
  return { kept: kept.reverse(), lostIds, duplicatedIds, unanswered, links };
}

function hashOf(one: Answered): string {
  return createHash('sha256').update(one.answer.prev).update(one.id).digest('hex');
}

function countCorrupted(answered: readonly Answered[], fault: (text: string) => void): number {
  let corrupted = 0;
  for (const { id, user, bodyDigest, answer } of answered) {
    if (answer.id === id && answer.user === user && answer.digest === bodyDigest) continue;
    corrupted += 1;
    fault(`${id} of ${user} got the answer of ${answer.id} of ${answer.user}, or to another body`);
  }
  return corrupted;
}

/** A user's counter steps by one, save for requests of the same user that failed and may have been counted. */
function countMiscounted(
  kept: readonly Answered[],
  exchanges: readonly Exchange[],
  fault: (text: string) => void,
): number {
  const spare = new Map<string, number>();
  for (const one of exchanges) {
    if (one.outcome === 'failed') spare.set(one.user, (spare.get(one.user) ?? 0) + 1);
  }
  const last = new Map<string, number>();
  let miscounted = 0;
  for (const { id, user, answer } of kept) {
    const skipped = answer.count - (last.get(user) ?? 0) - 1;
    last.set(user, answer.count);
    const left = (spare.get(user) ?? 0) - skipped;
    if (skipped > 0 && left >= 0) spare.set(user, left);
    if (skipped === 0 || (skipped > 0 && left >= 0)) continue;
    miscounted += 1;
    fault(`${id}: the counter of ${user} steps by ${skipped + 1}`);
  }
  return miscounted;
}

function groupBy<K>(all: readonly Answered[], keyOf: (one: Answered) => K): Map<K, Answered[]> {
  const groups = new Map<K, Answered[]>();
  for (const one of all) {
    const group = groups.get(keyOf(one));
    if (group === undefined) groups.set(keyOf(one), [one]);
    else group.push(one);
  }
  return groups;
}
