import { formatLink, type Link } from '../../test/lab/link.ts';
import { Budget } from '../budget.ts';
import { hostVersions } from '../machine-facts.ts';
import { inRounds } from '../rounds.ts';
import { figure } from '../table.ts';
import { measureByHand } from './by-hand.ts';
import { Moves, move } from './by-holdfast.ts';
import type { Failure, Measured, Measurement, Run } from './measurement.ts';
import type { TransferOptions } from './options.ts';
import { BASE_IMAGE, IMAGE, inWords, MIB, NAME } from './scenario.ts';
import { RUNC_APP, RUNC_HOST, Stage } from './stage.ts';
import { type Approach, Way } from './way.ts';

/** For taking hosts down and for the tables. */
const RESERVE_MS = 20_000;
const PUBLISHED = ['-p', '8080:8080'];
/** The moves of Holdfast, in order. */
const JOURNEY = [Way.there, Way.back, Way.repeat];

export type Say = (line?: string) => void;

interface Turn {
  readonly link: Link;
  readonly approach: Approach;
}

/** All measurements of a run, one after the other. */
export class TransferBench implements Run {
  readonly measurements: Measurement[] = [];
  readonly failures: Failure[] = [];
  versions: Record<string, string> = {};
  readonly #options: TransferOptions;
  readonly #signal: AbortSignal;
  readonly #say: Say;
  #stage: Stage | undefined;

  constructor(options: TransferOptions, signal: AbortSignal, say: Say) {
    this.#options = options;
    this.#signal = signal;
    this.#say = say;
  }

  /** @returns how many turns the budget had no room for */
  async run(): Promise<number> {
    const { budgetMs, rounds, links, approaches, scenario } = this.#options;
    const budget = budgetMs === undefined ? undefined : new Budget(budgetMs, RESERVE_MS);
    const stage = await this.#open(this.#signal);
    this.versions = await hostVersions(stage.a);
    const [whole, base] = await Promise.all([stage.imageBytes(IMAGE), stage.imageBytes(BASE_IMAGE)]);
    this.#say(`Moved: ${inWords({ ...scenario, imageMib: Math.round(whole / MIB) }, base / MIB)}\n`);
    return inRounds<Turn>({
      tasks: links.flatMap((link) => approaches.map((approach) => ({ link, approach }))),
      rounds,
      ...(budget === undefined ? {} : { budget }),
      signal: this.#signal,
      guessMs: (turn) => this.#guessMs(turn),
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
    this.#stage ??= await Stage.open({
      scenario: this.#options.scenario,
      signal,
      log: (line) => this.#say(`  ${line}`),
    });
    return this.#stage;
  }

  async #measure({ link, approach }: Turn, round: number, signal: AbortSignal): Promise<void> {
    const stage = await this.#open(signal);
    try {
      if (approach === 'holdfast') return await this.#holdfast(stage, link, round, signal);
      const way = approach === 'checkpoint' ? Way.checkpoint : Way.stopAndStart;
      await stage.setLink(link);
      this.#keep({ link, way, round, ...(await measureByHand(stage, way, signal)) });
    } catch (error) {
      // Whatever state it has left the hosts in, the next measurement does not begin with it.
      await this.close();
      throw error;
    }
  }

  /** There, back and there again; with Docker and with the runc engine in turn, so that both meet the same machine. */
  async #holdfast(stage: Stage, link: Link, round: number, signal: AbortSignal): Promise<void> {
    const { strategy } = this.#options;
    const { admin } = stage.system;
    await stage.setLink({});
    await stage.startApp(PUBLISHED, signal);
    await admin.startApp(RUNC_APP, 'a');
    // Agents of hosts that have been up for a while have moved something before.
    for (const to of ['b', 'a']) await move(stage, { app: RUNC_APP, to, strategy }, signal);
    await stage.setLink(link);
    const all: Moves[] = [];
    try {
      const own = await Moves.of(stage, NAME);
      all.push(own);
      const plain = await Moves.of(stage, RUNC_APP, RUNC_HOST);
      all.push(plain);
      for (const to of [stage.b, stage.a, stage.b]) {
        await own.make(to.name, strategy, signal);
        await stage.checkFiles(to, signal);
        await plain.make(to.name, strategy, signal);
      }
      for (const [nth, measured] of (await own.finish()).entries()) {
        this.#keep({ link, way: JOURNEY[nth] ?? Way.repeat, round, ...measured });
      }
      for (const measured of await plain.finish()) this.#keep({ link, way: Way.runc, round, ...measured });
    } finally {
      await Promise.allSettled(all.map((moves) => moves.stop()));
    }
    await admin.call('POST', `/v1/apps/${RUNC_APP}/stop`, {}, 30_000);
    await stage.clear(signal);
  }

  #keep(measurement: Measurement): void {
    this.measurements.push(measurement);
    const { link, way, round } = measurement;
    this.#say(`${this.#place(round, link, way)}  ${told(measurement)}`);
  }

  #note({ link, approach }: Turn, round: number, error: unknown): void {
    const reason = error instanceof Error ? error.message : String(error);
    this.failures.push({ link, approach, round, reason });
    this.#say(`${this.#place(round, link, approach)}  NOT MEASURED: ${reason}`);
  }

  #place(round: number, link: Link, what: string): string {
    return `${round}/${this.#options.rounds}  ${formatLink(link).padEnd(9)} ${what.padEnd(15)}`;
  }

  /** Start and end of an app, and all of it over the link; Holdfast has six moves. */
  #guessMs({ link, approach }: Turn): number {
    const { imageMib, volumesMib, memoryMib } = this.#options.scenario;
    const allMib = imageMib + volumesMib + memoryMib;
    const overLinkMs = (allMib * MIB * 8 * 1000) / (link.rateBps ?? Number.POSITIVE_INFINITY);
    return approach === 'holdfast' ? 75_000 + 0.6 * overLinkMs : 35_000 + 1.2 * overLinkMs;
  }
}

function told({ bytes, frozenMs, totalMs, blackoutMs, failed, lost }: Measured): string {
  const frozen = frozenMs === null ? '' : `frozen ${figure(frozenMs)} ms, `;
  const faults = failed + lost === 0 ? '' : `, ${figure(failed)} failed, ${figure(lost)} lost`;
  return (
    `${figure(bytes.all / MIB)} MiB, ${frozen}blackout ${figure(blackoutMs)} ms, ` +
    `total ${figure(Math.round(totalMs))} ms${faults}`
  );
}
