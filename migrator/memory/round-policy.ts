/** One round of sending memory ahead, as it went. */
export interface Round {
  /** Of pages that were not met before. */
  readonly newBytes: number;
  readonly durationMs: number;
}

export const RoundVerdict = {
  again: 'again',
  /** What is left to send is so little that another round would gain nothing worth its while. */
  settled: 'settled',
  /** The app writes as fast as rounds go: another one would find as much as this one did. */
  notConverging: 'not-converging',
  /** However much they gain, rounds end some time. */
  enough: 'enough',
} as const;
export type RoundVerdict = (typeof RoundVerdict)[keyof typeof RoundVerdict];

const MOST_ROUNDS = 8;
/** What another round must take off the freeze to be worth the hosts' time: so many milliseconds of the link's … */
const WORTHWHILE_MS = 10;
/** … and such a share of what is left. */
const WORTHWHILE_SHARE = 0.1;
/** With no more left than this share of all there was, the rounds have done what they are for. */
const SETTLED_SHARE = 0.1;
/** A round that kept the link busy for most of its time tells nothing of how long reading takes. */
const BUSY_SHARE = 0.8;

/**
 * Whether another round pays. Its only use is to shorten the freeze, in which the link carries what was written since the
 * last round: with `d` bytes written a millisecond, a round of `t` ms leaves `d·t` of them. The next round takes as
 * long as sending those does, but no less than reading all of memory; it leaves `d` times that.
 *
 * What the link carries is taken to be the most that any round has sent in its time.
 *
 * @param rounds those made, the first one first
 */
export function judgeRounds(rounds: readonly Round[]): RoundVerdict {
  const [first] = rounds;
  const last = rounds.at(-1);
  const before = rounds.at(-2);
  if (first === undefined || last === undefined) return RoundVerdict.again;
  // The first round brings all there is, and tells nothing of how fast the app writes.
  if (before === undefined) return first.newBytes === 0 ? RoundVerdict.settled : RoundVerdict.again;
  const written = last.newBytes / before.durationMs;
  const leftBytes = written * last.durationMs;
  const rateBpms = Math.max(...rounds.map(({ newBytes, durationMs }) => newBytes / durationMs));
  const leftMs = leftBytes / rateBpms;
  const nextMs = Math.max(leftMs, readMs(rounds, rateBpms));
  const gainMs = leftMs - (written * nextMs) / rateBpms;
  if (gainMs >= Math.max(WORTHWHILE_MS, leftMs * WORTHWHILE_SHARE)) {
    return rounds.length < MOST_ROUNDS ? RoundVerdict.again : RoundVerdict.enough;
  }
  const little = leftMs < WORTHWHILE_MS || leftBytes < first.newBytes * SETTLED_SHARE;
  return little ? RoundVerdict.settled : RoundVerdict.notConverging;
}

/** How long it takes to read all of memory, as far as the rounds have shown. */
function readMs(rounds: readonly Round[], rateBpms: number): number {
  const idle = rounds.filter(({ newBytes, durationMs }) => newBytes / rateBpms < durationMs * BUSY_SHARE);
  return idle.length === 0 ? 0 : Math.min(...idle.map(({ durationMs }) => durationMs));
}
