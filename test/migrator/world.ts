import { once } from 'node:events';
import type { Agent } from '../../migrator/agents.ts';
import { type ContainerState, DumpMemory } from '../../migrator/engine/engine.ts';
import { HoldfastError } from '../../migrator/errors.ts';
import type { Gate, HoldReport, Target } from '../../migrator/gate.ts';
import { instanceLost } from '../../migrator/loss.ts';
import type { Placements } from '../../migrator/placements.ts';

type Call = Exclude<keyof Agent, 'host' | 'url'>;

export const Fault = {
  /** Says no, for good, and has done nothing. */
  refuses: 'refuses',
  /** Does not answer this once, and has done nothing. */
  unreachableOnce: 'unreachable once',
  /** Has done it, but the answer is lost. */
  answerLost: 'answer lost',
} as const;
export type Fault = (typeof Fault)[keyof typeof Fault];

/** What the app has in memory, and that it does not write to it. */
const QUIET = {
  processes: 1,
  privateBytes: 64 << 20,
  swappedBytes: 0,
  sharedBytes: 0,
  zeroShare: 0,
  distinctShare: 1,
  encodedShare: 0.5,
  encodeRateBpms: 200_000,
  readRateBpms: 1_000_000,
  dirtyRateBpms: 0,
  hotBytes: 0,
};

interface Instance {
  state: ContainerState;
  committed: boolean;
  /** Its memory is to be fetched from the source once it runs. */
  lazy: boolean;
  /** How it stands with that. */
  pages: 'all here' | 'at the source' | 'lost';
}

const whole = { lazy: false, pages: 'all here' } as const;

/**
 * Two hosts and a gate as a migration sees them, reduced to what must never go wrong: which instances there are, and
 * where requests go. The saga's decisions are tried here in every combination; what it does to real containers is
 * shown by the end-to-end tests.
 */
export class World implements Gate, Placements {
  readonly hosts: Record<string, Instance> = {
    a: { state: 'running', committed: true, ...whole },
    b: { state: 'absent', committed: false, ...whole },
  };
  gate: { open: true; to: string } | { open: false } = { open: true, to: 'a' };
  home = 'a';
  /** Whether the app owns more than memory, and what there is of it at `b`. */
  brings = false;
  belongings: 'absent' | 'brought' | 'standing by' | 'complete' = 'absent';
  /** What is told of a host's memory when it is summed. */
  readonly memory: Record<string, string> = { a: 'same', b: 'same' };
  readonly violations: string[] = [];
  /** What the agents were asked, in order. */
  readonly calls: string[] = [];
  readonly faults = new Map<string, Fault>();
  /** Whether its hosts can bring memory after a restore. */
  lazyPages = true;
  /** Hosts whose pages are on their way for ever. */
  readonly stalled = new Set<string>();
  /** Hosts that do not answer at all. */
  readonly away = new Set<string>();
  /** Hosts whose instance was killed while it was frozen. */
  readonly killed = new Set<string>();
  /** Hosts that were taken out of the configuration. */
  readonly outOfConfiguration = new Set<string>();
  /** Hears of each call to a host that is away. */
  missed: (host: string) => void = () => {};
  #lease: NodeJS.Timeout | undefined;

  clone(): World {
    const copy = new World();
    for (const [host, instance] of Object.entries(this.hosts)) copy.hosts[host] = { ...instance };
    copy.gate = { ...this.gate };
    copy.home = this.home;
    copy.brings = this.brings;
    copy.belongings = this.belongings;
    return copy;
  }

  agents(): Map<string, Agent> {
    const hosts = Object.keys(this.hosts).filter((host) => this.isHost(host));
    return new Map(hosts.map((host) => [host, this.#agent(host)]));
  }

  async hold(): Promise<HoldReport> {
    if (!this.gate.open)
      throw new HoldfastError('GATE_BUSY', 'the gate is held already', { retryable: true });
    this.gate = { open: false };
    return { drainedRequests: 0, drainMs: 0, passedRequests: 7 };
  }

  async release(_app: string, target: Target): Promise<{ holdMs: number; heldRequests: number }> {
    this.gate = { open: true, to: target.host };
    this.#check('release');
    return { holdMs: 1, heldRequests: 0 };
  }

  hostOf(): string {
    return this.home;
  }

  isHost(host: string): boolean {
    return !this.outOfConfiguration.has(host);
  }

  targetAt(_app: string, host: string): Target {
    return { host, url: `http://${host}:1` };
  }

  async moved(_app: string, host: string): Promise<void> {
    this.home = host;
  }

  running(): string[] {
    return Object.keys(this.hosts).filter((host) => this.hosts[host]?.state === 'running');
  }

  #agent(host: string): Agent {
    const mine = this.hosts[host] as Instance;
    const call = async (name: Call, act: () => void = () => {}): Promise<void> => {
      this.calls.push(`${host}.${name}`);
      const fault = this.faults.get(`${host}.${name}`);
      const unreachable = new HoldfastError('AGENT_UNREACHABLE', `${host} is away`, { retryable: true });
      if (this.away.has(host)) {
        this.missed(host);
        throw unreachable;
      }
      if (fault === Fault.refuses) throw new HoldfastError('REFUSED', `${host} will not ${name}`);
      this.faults.delete(`${host}.${name}`);
      if (fault === Fault.unreachableOnce) throw unreachable;
      act();
      this.#check(`${host}.${name}`);
      if (fault === Fault.answerLost) throw unreachable;
    };
    const footprint = { engine: 'model', port: 1, memoryBytes: 1, processes: 1, evidence: {} };
    return {
      host,
      url: `https://${host}:1`,
      info: async () => {
        await call('info');
        return { host, version: '0.0.0', engines: ['model'], lazyPages: this.lazyPages };
      },
      measure: async () => {
        await call('measure');
        return { memory: QUIET, link: { rttMs: 1, rateBpms: 100_000 } };
      },
      examine: async () => {
        await call('examine');
        return { footprint, findings: [], brings: this.brings };
      },
      admit: async () => {
        await call('admit');
        return { findings: [] };
      },
      prepare: (_id, { pagesFrom }) =>
        call('prepare', () => {
          mine.lazy = pagesFrom !== undefined;
        }),
      connect: () => call('connect'),
      bring: async () => {
        await call('bring', () => {
          this.belongings = 'brought';
        });
        return { layerBytes: 2, fileBytes: 3, bytesSent: 5 };
      },
      standBy: () =>
        call('standBy', () => {
          if (this.belongings !== 'brought') this.violations.push('standing by without what it stands for');
          this.belongings = 'standing by';
        }),
      getReady: async () => {
        await call('getReady', () => {
          if (this.belongings !== 'brought') this.violations.push('ready without what came first');
        });
        return { layerBytes: 0, fileBytes: 0, bytesSent: 5 };
      },
      preCopy: async () => {
        await call('preCopy');
        return { rounds: 1, pageBytes: 1, bytesSent: 1 };
      },
      freeze: async () => {
        await call('freeze', () => {
          mine.state = 'frozen';
        });
        return { frozenAt: performance.now() };
      },
      dump: (_id, memory) =>
        call('dump', () => {
          const lazy = memory === DumpMemory.leftInPlace;
          if (lazy !== this.hosts.b?.lazy) this.violations.push('the ends do not agree on where memory is');
        }),
      send: async () => {
        await call('send', () => {
          if (this.belongings === 'standing by') this.belongings = 'complete';
        });
        return { bytesSent: 1, imageBytes: 1, layerBytes: 0, fileBytes: this.brings ? 1 : 0, lastPassMs: 1 };
      },
      restore: async () => {
        await call('restore', () => {
          if (this.brings !== (this.belongings === 'complete'))
            this.violations.push('restored without what it owns');
          mine.state = 'running';
          mine.committed = false;
          mine.pages = mine.lazy ? 'at the source' : 'all here';
        });
        return { runningAt: performance.now() };
      },
      restoreFrozen: () =>
        call('restoreFrozen', () => {
          mine.state = 'frozen';
          mine.committed = false;
          mine.pages = mine.lazy ? 'at the source' : 'all here';
        }),
      resume: async () => {
        await call('resume', () => {
          mine.state = 'running';
        });
        return { runningAt: performance.now() };
      },
      sums: async () => {
        await call('sums');
        if (mine.pages === 'at the source')
          this.violations.push(`${host} is summed before its pages are there`);
        return { processes: [{ pid: 1, sizeBytes: 1, sum: this.memory[host] ?? '' }] };
      },
      rangeSums: async () => {
        await call('rangeSums');
        return { ranges: [{ start: '7f0000000000', sum: this.memory[host] ?? '' }] };
      },
      health: () => call('health'),
      commit: () =>
        call('commit', () => {
          if (mine.pages === 'lost') throw pagesLost();
          if (mine.state === 'absent') throw new HoldfastError('LEASE_EXPIRED', 'there is nothing to commit');
          mine.committed = true;
        }),
      pageIn: async (_id, signal) => {
        if (this.stalled.has(host)) await untilFired(signal);
        await call('pageIn', () => {
          if (mine.pages === 'lost') throw pagesLost();
          mine.pages = 'all here';
        });
        return { pageInMs: 1, fromStoreBytes: 1, fromSourceBytes: 1, waits: 1, bytesSent: 1 };
      },
      discard: () =>
        call('discard', () => {
          if (mine.pages === 'lost') return;
          if (mine.committed) throw new HoldfastError('ALREADY_COMMITTED', 'the instance is for good');
          mine.state = 'absent';
          this.belongings = 'absent';
        }),
      thaw: () =>
        call('thaw', () => {
          if (this.killed.has(host)) throw instanceLost('shop', 'it was killed');
          if (mine.state === 'frozen') mine.state = 'running';
        }),
      finish: () =>
        call('finish', () => {
          if (this.hosts.b?.pages === 'at the source') this.violations.push('pages went with the source');
          mine.state = 'absent';
          mine.committed = false;
        }),
    };
  }

  /** What a destination does whose lease runs out, whoever can reach it. */
  startLease(leaseMs: number): void {
    this.#lease = setTimeout(() => {
      const instance = this.hosts.b;
      if (instance && !instance.committed) instance.state = 'absent';
    }, leaseMs);
  }

  /** What becomes of a frozen instance when somebody kills it, or its host is started anew. */
  killFrozen(host: string): void {
    Object.assign(this.hosts[host] ?? {}, { state: 'absent' });
    this.killed.add(host);
  }

  /** What a destination does that cannot get its pages. */
  losePages(): void {
    Object.assign(this.hosts.b ?? {}, { state: 'absent', pages: 'lost' });
  }

  stop(): void {
    clearTimeout(this.#lease);
  }

  #check(after: string): void {
    const running = this.running();
    if (running.length > 1) this.violations.push(`two instances run after ${after}`);
    if (this.gate.open && !running.includes(this.gate.to)) {
      this.violations.push(`requests go to ${this.gate.to}, where nothing runs, after ${after}`);
    }
  }
}

async function untilFired(signal: AbortSignal): Promise<never> {
  const alive = setInterval(() => {}, 1_000); // A signal's own timer keeps no process.
  if (!signal.aborted) await once(signal, 'abort');
  clearInterval(alive);
  throw new HoldfastError('DEADLINE', 'that was not answered in time', { retryable: true });
}

function pagesLost(): HoldfastError {
  return new HoldfastError('PAGES_LOST', 'memory that was still at the source cannot be had');
}
