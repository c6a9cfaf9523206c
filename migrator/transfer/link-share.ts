import { type Leave, LinkFlow } from './link-flow.ts';
import { RateLimit } from './rate-limit.ts';
import { Traffic } from './traffic.ts';

/** Of those who send beside others, one may hand over so much at a time. */
const SLICE_BYTES = 64 * 1024;
/** How far one migration may be ahead of another in traffic of the same kind. */
const LEAD_BYTES = 2 * SLICE_BYTES;
/** While something goes, what is less urgent gets one byte for so many of it: what nothing is heard of counts as lost. */
const STARVATION_SHARE = 16;
/**
 * A sender whose bytes were taken asks for the next ones in a moment; until then nobody else's turn has come. (Iyer and
 * Druschel, Anticipatory scheduling, 2001, on disks: without it two who take turns are as good as equal.)
 */
const LINGER_MS = 1;
/** What the kernel has not taken after so long is held up by something else than the link: nobody waits for it. */
const HELD_UP_MS = 250;

export interface Clock {
  now(): number;
  /** @returns call it to be told no more */
  after(ms: number, then: () => void): () => void;
}

const systemClock: Clock = {
  now: () => performance.now(),
  after(ms, then) {
    const timer = setTimeout(then, ms);
    return () => clearTimeout(timer);
  },
};

/** One kind of traffic of one migration. */
interface Lane {
  readonly path: Path;
  /** The migration's. */
  readonly limit: RateLimit | undefined;
  readonly traffic: Traffic;
  waiting: number;
  underWay: number;
  /** To be held against that of others. */
  servedBytes: number;
  /** Until then it counts as sending. */
  busyUntil: number;
}

/** Those whose traffic meets on the way. */
interface Path {
  readonly lanes: Set<Lane>;
  /** What those that gave way are to have. */
  owedBytes: number;
}

interface Asked {
  readonly lane: Lane;
  readonly mostBytes: number;
  readonly grant: (leave: Leave) => void;
}

/** Why a lane is to wait. */
const Hold = {
  none: 'none',
  /** What is more urgent goes first, but for a small share. */
  urgency: 'urgency',
  /** It is another migration's turn. */
  fairness: 'fairness',
} as const;
type Hold = (typeof Hold)[keyof typeof Hold];

/**
 * Whose turn it is on the link: everything that an agent sends to others asks here first.
 *
 * What is more urgent goes first, and leaves a small share to the rest. In traffic of the same kind migrations share
 * alike. Without a limit it is the kernel that tells when the link is full, by not taking more, and nobody waits before
 * that: one that cannot read as fast as the link carries leaves the rest of it to others. All this is among those on
 * their way to the same host; where this host has a limit, among all.
 */
export class LinkShare {
  readonly #limit: RateLimit | undefined;
  readonly #clock: Clock;
  readonly #paths = new Map<string, Path>();
  readonly #waiting: Asked[] = [];
  #stopTimer: () => void = () => {};

  constructor(options: { limitRateBps?: number | undefined; clock?: Clock } = {}) {
    const { limitRateBps, clock = systemClock } = options;
    this.#limit = limitRateBps === undefined ? undefined : new RateLimit(limitRateBps);
    this.#clock = clock;
  }

  /** A migration's part in it. It is to be closed. @param to the host it goes to */
  flow(to: string, limitRateBps?: number): LinkFlow {
    const key = this.#limit ? '' : to;
    const path = this.#paths.get(key) ?? { lanes: new Set(), owedBytes: 0 };
    this.#paths.set(key, path);
    const limit = limitRateBps === undefined ? undefined : new RateLimit(limitRateBps);
    const lanes = Object.values(Traffic).map(
      (traffic): Lane => ({ path, limit, traffic, waiting: 0, underWay: 0, servedBytes: 0, busyUntil: 0 }),
    );
    for (const lane of lanes) path.lanes.add(lane);
    const limits = [this.#limit, limit].filter((each) => each !== undefined);
    return new LinkFlow({
      limitBpms: Math.min(...limits.map(({ bytesPerMs }) => bytesPerMs)),
      ask: (traffic, mostBytes, signal) => this.#ask(lanes[traffic] as Lane, mostBytes, signal),
      onClose: () => {
        for (const lane of lanes) path.lanes.delete(lane);
        if (path.lanes.size === 0 && this.#paths.get(key) === path) this.#paths.delete(key);
        this.#serve();
      },
    });
  }

  #ask(lane: Lane, mostBytes: number, signal: AbortSignal): Promise<Leave> {
    return new Promise((resolve, reject) => {
      signal.throwIfAborted();
      const grant = (leave: Leave) => {
        signal.removeEventListener('abort', goAway);
        resolve(leave);
      };
      const asked = { lane, mostBytes, grant };
      const goAway = () => {
        this.#remove(asked);
        reject(signal.reason);
        this.#serve();
      };
      signal.addEventListener('abort', goAway, { once: true });
      this.#keepInSight(lane);
      lane.waiting++;
      this.#waiting.push(asked);
      this.#serve();
    });
  }

  #serve(): void {
    this.#stopTimer();
    const now = this.#clock.now();
    while (this.#grantNext(now));
    if (this.#waiting.length === 0) return;
    this.#stopTimer = this.#clock.after(this.#nextAt(now) - now, () => this.#serve());
  }

  /** @returns whether anybody's turn has come */
  #grantNext(now: number): boolean {
    if (this.#waiting.length === 0 || (this.#limit && this.#limit.readyAt > now)) return false;
    const ready = this.#waiting.filter(({ lane }) => isReady(lane, now)).sort(byTurn);
    const owed = ready.find(
      ({ lane }) => lane.path.owedBytes >= SLICE_BYTES && holdOf(lane, now) === Hold.urgency,
    );
    const next = owed ?? ready.find(({ lane }) => holdOf(lane, now) === Hold.none);
    if (!next) return false;
    const sizeBytes = this.#grant(next, now);
    if (owed) next.lane.path.owedBytes -= sizeBytes;
    else this.#owe(next.lane, sizeBytes);
    return true;
  }

  #grant(asked: Asked, now: number): number {
    const { lane, mostBytes } = asked;
    const sizeBytes = Math.min(mostBytes, this.#sliceBytes(lane, now));
    this.#remove(asked);
    this.#limit?.sent(sizeBytes, now);
    lane.limit?.sent(sizeBytes, now);
    lane.servedBytes += sizeBytes;
    lane.underWay++;
    lane.busyUntil = now + HELD_UP_MS;
    const taken = () => {
      // Who waited for a page goes on, and does not ask again in a moment.
      const lingerMs = lane.traffic === Traffic.faults ? 0 : LINGER_MS;
      if (--lane.underWay === 0) lane.busyUntil = this.#clock.now() + lingerMs;
      this.#serve();
    };
    asked.grant({ sizeBytes, taken });
    return sizeBytes;
  }

  /** Who is alone and without a limit need not be asked again and again. */
  #sliceBytes(lane: Lane, now: number): number {
    const limits = [this.#limit, lane.limit].filter((limit) => limit !== undefined);
    if (limits.length > 0) return Math.min(SLICE_BYTES, ...limits.map(({ sliceBytes }) => sliceBytes));
    return others(lane, now).next().done ? Number.POSITIVE_INFINITY : SLICE_BYTES;
  }

  #owe({ path, traffic }: Lane, sizeBytes: number): void {
    const gaveWay = this.#waiting.some(({ lane }) => lane.path === path && lane.traffic > traffic);
    if (gaveWay) path.owedBytes = Math.min(path.owedBytes + sizeBytes / STARVATION_SHARE, SLICE_BYTES);
  }

  /** What it did not want while others did, it is not given later. */
  #keepInSight(lane: Lane): void {
    const now = this.#clock.now();
    let leastBytes = Number.POSITIVE_INFINITY;
    for (const other of others(lane, now)) {
      if (other.traffic === lane.traffic) leastBytes = Math.min(leastBytes, other.servedBytes);
    }
    if (leastBytes < Number.POSITIVE_INFINITY)
      lane.servedBytes = Math.max(lane.servedBytes, leastBytes - 2 * LEAD_BYTES);
  }

  /** When somebody's turn may come without anybody doing anything. */
  #nextAt(now: number): number {
    const times = this.#waiting.flatMap(({ lane: { limit, path } }) => [
      limit?.readyAt ?? now,
      ...[...path.lanes].map(({ busyUntil }) => busyUntil),
    ]);
    times.push(this.#limit?.readyAt ?? now);
    return Math.min(now + HELD_UP_MS, ...times.filter((time) => time > now));
  }

  #remove(asked: Asked): void {
    this.#waiting.splice(this.#waiting.indexOf(asked), 1);
    asked.lane.waiting--;
  }
}

function isReady({ limit }: Lane, now: number): boolean {
  return limit === undefined || limit.readyAt <= now;
}

/** One that only waits for its own limit leaves the link to others. */
function isBusy(lane: Lane, now: number): boolean {
  return lane.busyUntil > now || (lane.waiting > 0 && isReady(lane, now));
}

/** Whoever else is sending, or wants to. */
function* others(lane: Lane, now: number): Generator<Lane> {
  for (const other of lane.path.lanes) if (other !== lane && isBusy(other, now)) yield other;
}

function holdOf(lane: Lane, now: number): Hold {
  let hold: Hold = Hold.none;
  for (const other of others(lane, now)) {
    if (other.traffic < lane.traffic) hold = Hold.urgency;
    else if (other.traffic === lane.traffic && other.servedBytes + LEAD_BYTES < lane.servedBytes) {
      return Hold.fairness;
    }
  }
  return hold;
}

/** Of two that are alike, the one that has waited longer comes first: sorting keeps their order. */
function byTurn({ lane: a }: Asked, { lane: b }: Asked): number {
  return a.traffic - b.traffic || a.servedBytes - b.servedBytes;
}
