import { judgeRounds, type Round, RoundVerdict } from '../memory/round-policy.ts';
import type { MemorySurvey } from '../memory/survey.ts';
import { Patience } from '../transfer/encoding-choice.ts';
import type { MeasuredLink } from '../transfer/probe.ts';

/** What TCP sends before it has heard back: ten segments (RFC 6928). */
const FIRST_WINDOW_BYTES = 14_600;
/** What shrinks to no less than this is sent as it is. */
const WORTHWHILE_SHARE = 0.9;
/** From the end of the last round to the freeze: the gate closes, and requests in flight are answered. */
const DRAIN_MS = 50;

/** Pages that differ after so long: of `H` hot bytes written at random at `d` a millisecond, `H·(1 − e^(−d·t/H))`. */
export function dirtiedBytes({ dirtyRateBpms, hotBytes }: MemorySurvey, ms: number): number {
  if (hotBytes === 0) return 0;
  return hotBytes * (1 - Math.exp((-dirtyRateBpms * ms) / hotBytes));
}

/** Private memory as it is sent: without zeros, each content once. */
export function distinctBytes({ privateBytes, zeroShare, distinctShare }: MemorySurvey): number {
  return privateBytes * (1 - zeroShare) * distinctShare;
}

/** A link, with what encoding makes of it. */
export class Wire {
  readonly #link: MeasuredLink;
  readonly #share: number;
  /** How fast memory goes over, in bytes a millisecond before encoding. */
  readonly rateBpms: number;

  /** @param patience of what is sent */
  constructor(
    link: MeasuredLink,
    { encodedShare, encodeRateBpms }: MemorySurvey,
    patience: Patience = Patience.frozen,
  ) {
    this.#link = link;
    // None is encoded that the codec would hold up; all of it once the codec is twice as fast as it has to be.
    const swift = Math.min(Math.max((patience * encodeRateBpms) / link.rateBpms - 1, 0), 1);
    const encoded = encodedShare < WORTHWHILE_SHARE ? swift : 0;
    this.#share = 1 - (1 - encodedShare) * encoded;
    this.rateBpms = Math.min(
      link.rateBpms / this.#share,
      encoded === 0 ? Number.POSITIVE_INFINITY : encodeRateBpms / encoded,
    );
  }

  /** On the wire. */
  bytes(rawBytes: number): number {
    return rawBytes * this.#share;
  }

  /** From the first byte to the last one's arrival: TCP doubles its window each round trip until it fills the link. */
  ms(rawBytes: number): number {
    const { rttMs, rateBpms } = this.#link;
    const windowBytes = Math.min(this.bytes(rawBytes), rateBpms * rttMs);
    const roundTrips = Math.max(0, Math.log2(windowBytes / FIRST_WINDOW_BYTES));
    return rawBytes / this.rateBpms + rttMs * roundTrips;
  }
}

export interface Ahead {
  readonly rounds: readonly Round[];
  readonly verdict: RoundVerdict;
  readonly durationMs: number;
  /** Sent, before encoding. */
  readonly newBytes: number;
  /** Written since, and to be sent during the freeze or after it. */
  readonly leftBytes: number;
}

/**
 * Play the rounds through, by the policy that ends them when they are made. A round lasts as long as sending what it
 * finds, and no less than reading all of memory; the next one finds what was written meanwhile.
 */
export function playRounds(memory: MemorySurvey, wire: Wire): Ahead {
  const readMs = memory.privateBytes / memory.readRateBpms;
  const rounds: Round[] = [];
  let newBytes = distinctBytes(memory);
  let verdict: RoundVerdict;
  do {
    const durationMs = Math.max(readMs, wire.ms(newBytes), 1);
    rounds.push({ newBytes, durationMs });
    newBytes = dirtiedBytes(memory, durationMs);
    verdict = judgeRounds(rounds);
  } while (verdict === RoundVerdict.again);
  const durationMs = rounds.reduce((sum, round) => sum + round.durationMs, 0);
  // A page is read, on average, in the middle of its round.
  const sinceReadMs = (rounds.at(-1)?.durationMs ?? 0) / 2 + DRAIN_MS;
  return {
    rounds,
    verdict,
    durationMs,
    newBytes: rounds.reduce((sum, round) => sum + round.newBytes, 0),
    leftBytes: dirtiedBytes(memory, sinceReadMs),
  };
}
