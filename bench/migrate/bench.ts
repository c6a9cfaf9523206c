import { Budget } from '../budget.ts';
import { hostVersions } from '../machine-facts.ts';
import { PODMAN_PACKAGES, whyNoPreCheckpoint } from '../plain/podman.ts';
import { inRounds } from '../rounds.ts';
import { figure } from '../table.ts';
import { approaches, PODMAN_PRE, strategyKeys, usesPodman } from './approach.ts';
import { measureByHand } from './by-hand.ts';
import { measureHoldfast, warmUp } from './by-holdfast.ts';
import { type Cell, cellName, MemoryKind, type Task } from './cell.ts';
import { cellsOf } from './groups.ts';
import type { Failure, Measured, Measurement, Run } from './measurement.ts';
import type { BenchOptions } from './options.ts';
import { Stage } from './stage.ts';

/** For taking hosts down and for the tables. */
const RESERVE_MS = 20_000;
const MIB = 1 << 20;

const WARM_UP: Cell = { memoryMib: 16, dirtyMibPerS: 0, kind: MemoryKind.sessions, link: {} };

export type Say = (line?: string) => void;

interface Turn {
  readonly cell: Cell;
  readonly approach: string;
}

/** All measurements of a run, one after the other. */
export class Bench implements Run {
  readonly measurements: Measurement[] = [];
  readonly failures: Failure[] = [];
  readonly unavailable: Record<string, string> = {};
  versions: Record<string, string> = {};
  readonly #options: BenchOptions;
  readonly #signal: AbortSignal;
  readonly #say: Say;
  readonly #cells: Cell[];
  #stage: Stage | undefined;

  constructor(options: BenchOptions, signal: AbortSignal, say: Say) {
    this.#options = options;
    this.#signal = signal;
    this.#say = say;
    this.#cells = cellsOf(options.tasks);
  }

  /** @returns how many measurements the budget had no room for */
  async run(): Promise<number> {
    const { budgetMs, rounds, tasks } = this.#options;
    const budget = budgetMs === undefined ? undefined : new Budget(budgetMs, RESERVE_MS);
    const { a } = await this.#open(this.#signal);
    this.versions = await hostVersions(a);
    if (tasks.some((task) => task.approaches.includes(PODMAN_PRE))) {
      const reason = await whyNoPreCheckpoint(a, this.#signal);
      if (reason !== false) this.unavailable[PODMAN_PRE] = reason;
    }
    const turns = tasks.flatMap((task) =>
      turnsOf(task).filter(({ approach }) => !(approach in this.unavailable)),
    );
    this.#say(`${turns.length} kinds of move, ${rounds} times each at most\n`);
    return inRounds<Turn>({
      tasks: turns,
      rounds,
      ...(budget === undefined ? {} : { budget }),
      signal: this.#signal,
      guessMs,
      run: (turn, round, within) => this.#measure(turn, round, within),
      failed: (turn, round, error) => this.#note(turn, round, error),
    });
  }

  /** May be called twice. */
  async close(): Promise<void> {
    const stage = this.#stage;
    this.#stage = undefined;
    await stage?.close();
  }

  async #open(signal: AbortSignal): Promise<Stage> {
    if (this.#stage !== undefined) return this.#stage;
    const { tasks, gate } = this.#options;
    const keys = tasks.flatMap((task) => task.approaches);
    const stage = await Stage.open({
      cells: [...this.#cells, WARM_UP],
      gate,
      packages: usesPodman(keys) ? PODMAN_PACKAGES : [],
      signal,
      log: (line) => this.#say(`  ${line}`),
    });
    try {
      await warmUp(
        stage,
        WARM_UP,
        strategyKeys.filter((key) => keys.includes(key)),
        signal,
      );
    } catch (error) {
      await stage.close();
      throw error;
    }
    this.#stage = stage;
    return stage;
  }

  async #measure({ cell, approach }: Turn, round: number, signal: AbortSignal): Promise<void> {
    const stage = await this.#open(signal);
    const by = approaches.find(({ key }) => key === approach);
    try {
      await stage.setLink(cell.link);
      const measured =
        by?.byHand === undefined
          ? await measureHoldfast(stage, cell, approach, signal)
          : await measureByHand(stage, cell, by.byHand(signal), signal);
      this.measurements.push({ cell, approach, round, ...measured });
      this.#say(`${this.#place(round, cell, approach)}  ${inWords(measured)}`);
    } catch (error) {
      // Whatever state it has left the hosts in, the next measurement does not begin with it.
      await this.close();
      throw error;
    }
  }

  #note({ cell, approach }: Turn, round: number, error: unknown): void {
    const reason = error instanceof Error ? error.message : String(error);
    this.failures.push({ cell, approach, round, reason });
    this.#say(`${this.#place(round, cell, approach)}  NOT MEASURED: ${reason}`);
  }

  #place(round: number, cell: Cell, approach: string): string {
    return `${round}/${this.#options.rounds}  ${cellName(cell).padEnd(38)} ${approach.padEnd(13)}`;
  }
}

function turnsOf({ cell, approaches }: Task): Turn[] {
  return approaches.map((approach) => ({ cell, approach }));
}

/** Start and end of an app, its memory filled, and its memory over the link. */
function guessMs({ cell }: Turn): number {
  const overLinkMs = (cell.memoryMib * MIB * 8 * 1000) / (cell.link.rateBps ?? Number.POSITIVE_INFINITY);
  return 10_000 + cell.memoryMib * 12 + 1.2 * overLinkMs;
}

function inWords(one: Measured): string {
  const frozen = one.frozenMs === null ? '' : `frozen ${figure(one.frozenMs)} ms, `;
  const faults = one.failed + one.lost + one.duplicated;
  return (
    `${frozen}blackout ${figure(one.blackoutMs)} ms, total ${figure(Math.round(one.totalMs))} ms, ` +
    `${figure(one.bytesSent / MIB)} MiB${faults === 0 ? '' : `, ${figure(one.failed)} failed, ${figure(one.lost)} lost`}`
  );
}
