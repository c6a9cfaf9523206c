/** `npm run bench:gates`: how long a move keeps users waiting behind HAProxy and behind the built-in gate; see docs/downtime.md. */
import { setTimeout as delay } from 'node:timers/promises';
import type { GateType } from '../gateway/config/schema.ts';
import { type MigrationEvent, Outcome, Step } from '../migrator/events.ts';
import { type System, startSystem } from '../test/system/system.ts';
import { nowMs } from '../test/workload/exchange.ts';
import { RemoteLoad } from '../test/workload/remote-load.ts';
import { frontsOf } from './fronts.ts';
import { type GatesOptions, HELP, parseGatesOptions } from './gates/options.ts';
import { gatesTable, type Move, verdictsOn } from './gates/report.ts';
import { runProgram } from './interrupt.ts';
import { machineFacts } from './machine-facts.ts';
import { figure } from './table.ts';
import { verdictLines } from './verdict.ts';

const CLIENTS = 32;
/** Load alone before a move. */
const SETTLE_MS = 500;
const AFTERWARDS_MS = 200;
const FLOWING_TIMEOUT_MS = 30_000;
/** One, the other, the other, the one: what becomes slower meanwhile does so for both. */
const TURNS: readonly GateType[] = ['built-in', 'haproxy', 'haproxy', 'built-in'];
const LINK = { rateBps: 1_000_000_000 };

type Say = (line?: string) => void;

await runProgram(async (signal) => {
  const options = parseGatesOptions(process.argv.slice(2));
  if (options === 'help') {
    process.stdout.write(HELP);
    return 0;
  }
  const output = options.json ? process.stderr : process.stdout;
  const say: Say = (line = '') => output.write(`${line}\n`);
  const { rounds, strategy, memoryMib, ratePerS } = options;
  say(
    `Two apps with ${memoryMib} MiB of sessions, one behind the built-in gate, one behind HAProxy, each between two hosts of`,
  );
  say(
    `its own (1 Gbit/s), move in turn (${strategy}), ${ratePerS} requests/s for the one that moves, ${rounds} rounds.\n`,
  );
  const stages = new Map<GateType, Stage>();
  const moves: Move[] = [];
  try {
    for (const gate of ['built-in', 'haproxy'] as const) {
      stages.set(gate, await Stage.open(gate, options, signal));
    }
    for (const stage of stages.values()) await stage.warmUp(signal);
    for (let round = 1; round <= rounds; round += 1) {
      for (const gate of TURNS) {
        const measured = await stages.get(gate)?.measure(signal);
        if (measured === undefined) continue;
        moves.push({ gate, round, ...measured });
        const { blackoutMs, holdMs, holdStepMs, faults } = measured;
        say(
          `${round}/${rounds}  ${gate.padEnd(9)} blackout ${figure(blackoutMs)} ms, requests held ${figure(holdMs)} ms, ` +
            `the hold took ${figure(holdStepMs)} ms${faults === 0 ? '' : `, ${faults} FAULTS`}`,
        );
      }
    }
  } finally {
    await Promise.allSettled([...stages.values()].map((stage) => stage.close()));
  }
  const verdicts = verdictsOn(moves);
  const machine = machineFacts();
  say(`\n${gatesTable(moves)}\n`);
  say('Medians, and in brackets the least and the greatest; milliseconds.\n');
  for (const line of verdictLines(verdicts)) say(line);
  say(`\nMeasured on ${machine.cpu}, ${machine.cores} cores, Linux ${machine.kernel}, Node ${machine.node}.`);
  if (options.json) process.stdout.write(`${JSON.stringify({ machine, options, moves, verdicts })}\n`);
  return 0;
});

/** An app behind a gate, to be moved to and fro. */
class Stage {
  readonly #system: System;
  readonly #options: GatesOptions;
  #here = 'a';

  private constructor(system: System, options: GatesOptions) {
    this.#system = system;
    this.#options = options;
  }

  /** Whoever opens it must `close` it. */
  static async open(gate: GateType, options: GatesOptions, signal: AbortSignal): Promise<Stage> {
    const haproxys = await frontsOf(gate, () => {}, signal);
    const { memoryMib } = options;
    return new Stage(await startSystem({ link: LINK, app: { memoryMib }, haproxys, signal }), options);
  }

  /** To and fro unmeasured: agents that have been up for a while have done it before. */
  async warmUp(signal: AbortSignal): Promise<void> {
    for (let n = 0; n < 2; n += 1) await this.measure(signal);
  }

  async measure(signal: AbortSignal): Promise<Omit<Move, 'gate' | 'round'>> {
    const { ratePerS, strategy } = this.#options;
    const system = this.#system;
    await system.direct();
    const load = await RemoteLoad.start({ url: system.url, ratePerS, clients: CLIENTS });
    try {
      await delay(SETTLE_MS, undefined, { signal });
      const there = this.#here === 'a' ? 'b' : 'a';
      let holdStepMs = 0;
      const onEvent = (event: MigrationEvent) => {
        if (event.type === 'step-finished' && event.step === Step.hold) holdStepMs = event.durationMs;
      };
      const fromMs = nowMs();
      const { outcome, error, figures } = await system.migrate(there, onEvent, { strategy });
      if (outcome !== Outcome.succeeded) {
        throw new Error(`${outcome}: ${error?.message}\n${system.logs()}`);
      }
      this.#here = there;
      await load.flowing(FLOWING_TIMEOUT_MS);
      const toMs = nowMs();
      await delay(AFTERWARDS_MS, undefined, { signal });
      const { windows, total } = await load.finish([{ fromMs, toMs }]);
      const { failed, lost, duplicated, corrupted, requests } = total;
      return {
        blackoutMs: windows[0]?.blackoutMs ?? 0,
        holdMs: figures.holdMs ?? 0,
        frozenMs: figures.frozenMs ?? 0,
        holdStepMs,
        requests,
        faults: failed + lost + duplicated + corrupted,
      };
    } finally {
      await load.stop();
    }
  }

  async close(): Promise<void> {
    await this.#system.stop();
  }
}
