import { spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { readFile, rename, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { processStart } from '../engine/oci/processes.ts';
import { type ErrorBody, fromErrorBody, HoldfastError, toErrorBody } from '../errors.ts';
import { leisurely } from '../haste.ts';
import { pagerFailed } from './errors.ts';
import {
  ENDS,
  NO_FIGURES,
  PagerFile,
  type PagerOrder,
  type PagerSettings,
  PagerState,
  type PagerStatus,
  parseStatus,
} from './protocol.ts';

/** The program, in whichever form this module runs. */
const PROGRAM = fileURLToPath(new URL(`./main${path.extname(import.meta.url)}`, import.meta.url));
const LONGEST_LINE = 64 * 1024;

interface PagerRecord {
  readonly pid: number;
  /** See `processStart`. */
  readonly start: number;
}

/**
 * Start the process that answers `criu lazy-pages` here from what was sent ahead and from the frozen source. It outlives
 * this one: whoever comes next finds it with `adoptPager`. It ends by itself when every page is over, when pages cannot
 * be had for `stallMs`, or when nobody tells it to serve.
 *
 * Settles when its links to the source stand ready.
 *
 * @param settings `workDir` is the one the restore will be given
 * @throws HoldfastError `DEADLINE` when `signal` fires first, `PAGER_FAILED`, and what keeps it from the source
 */
export async function startPager(settings: PagerSettings, signal: AbortSignal): Promise<Pager> {
  const { workDir } = settings;
  signal.throwIfAborted();
  const log = openSync(path.join(workDir, PagerFile.log), 'a', 0o600);
  let child: ReturnType<typeof spawn>;
  try {
    const start = () =>
      spawn(process.execPath, [...process.execArgv, PROGRAM], {
        // Not in the agent's group, and without a pipe to it: nothing breaks in it when the agent is killed.
        detached: true,
        stdio: ['pipe', 'pipe', log],
        cwd: workDir,
      });
    child = leisurely(start); // What it begins with is what it has its daemon slow down to.
  } finally {
    closeSync(log);
  }
  const pid = child.pid ?? 0;
  const kill = () => child.kill('SIGKILL');
  signal.addEventListener('abort', kill, { once: true });
  try {
    const listens = new Promise<void>((resolve, reject) => {
      child.stdout?.once('data', () => resolve());
      child.once('error', reject);
      child.once('exit', () => reject(pagerFailed('it ended by itself')));
    });
    child.stdin?.on('error', () => {}); // One that is gone already is told by its exit.
    child.stdin?.end(JSON.stringify(settings));
    const record: PagerRecord = { pid, start: processStart(pid) };
    await writeWhole(path.join(workDir, PagerFile.record), JSON.stringify(record));
    await listens;
    child.stdout?.destroy();
    child.unref();
    const pager = new Pager(workDir, record);
    await pager.ready(signal);
    return pager;
  } catch (error) {
    kill();
    signal.throwIfAborted();
    throw error;
  } finally {
    signal.removeEventListener('abort', kill);
  }
}

/** The pager that an earlier process of this agent started for this work directory; undefined when there was none. */
export async function adoptPager(workDir: string): Promise<Pager | undefined> {
  const text = await readFile(path.join(workDir, PagerFile.record), 'utf8').catch(() => undefined);
  return text === undefined ? undefined : new Pager(workDir, JSON.parse(text) as PagerRecord);
}

/** A pager, as its agent sees it. */
export class Pager {
  readonly #workDir: string;
  readonly #record: PagerRecord;

  constructor(workDir: string, record: PagerRecord) {
    this.#workDir = workDir;
    this.#record = record;
  }

  /** Settles when its links to the source stand ready. @throws what it failed of, `DEADLINE` */
  async ready(signal: AbortSignal): Promise<void> {
    await this.#until(undefined, (status) => status.state !== PagerState.starting, signal);
  }

  /**
   * The checkpoint is in place: settles when `criu lazy-pages` listens in the work directory, so that a restore with
   * `--lazy-pages` may begin. Once only: a restore that fails takes its pager with it.
   *
   * @param options.cgroupDir of the container that will be restored: below it are the processes that are killed should
   *   pages be lost. It need not be there yet.
   * @throws what it failed of, `DEADLINE`
   */
  async serve(options: { imagesDir: string; cgroupDir: string }, signal: AbortSignal): Promise<void> {
    const serves = ({ state }: PagerStatus) => state !== PagerState.starting && state !== PagerState.ready;
    await this.#until({ serve: options }, serves, signal);
  }

  /** How far it is. Its end, when it has ended. */
  async status(signal: AbortSignal): Promise<PagerStatus> {
    return this.#hear(undefined, () => true, signal);
  }

  /**
   * Settles with how it ended: `complete`, or `failed` or `stopped` with every process of the container killed. May be
   * awaited by any number of callers, again and again.
   *
   * @throws `DEADLINE` when `signal` fires first
   */
  async ended(signal: AbortSignal): Promise<PagerStatus> {
    return this.#hear(undefined, ({ state }) => ENDS.has(state), signal);
  }

  /**
   * Make an end. A container whose pages are not all over cannot live without it: it is killed first.
   *
   * @throws `DEADLINE` when `signal` fires first
   */
  async stop(signal: AbortSignal): Promise<PagerStatus> {
    return this.#hear({ stop: true }, ({ state }) => ENDS.has(state), signal);
  }

  async #until(
    order: PagerOrder | undefined,
    wanted: (status: PagerStatus) => boolean,
    signal: AbortSignal,
  ): Promise<void> {
    const status = await this.#hear(order, (said) => ENDS.has(said.state) || wanted(said), signal);
    if (status.error) throw fromErrorBody(status.error as ErrorBody);
    if (status.state === PagerState.stopped) throw pagerFailed('it ended by itself');
  }

  /** Listen to it until it says what is wanted, or ends. */
  async #hear(
    order: PagerOrder | undefined,
    wanted: (status: PagerStatus) => boolean,
    signal: AbortSignal,
  ): Promise<PagerStatus> {
    const file = path.join(this.#workDir, PagerFile.socket);
    const heard = await hear(file, order, wanted, signal);
    if (heard) return heard;
    // It speaks to nobody any more: what it left behind tells how it ended.
    const text = await readFile(path.join(this.#workDir, PagerFile.end), 'utf8').catch(() => undefined);
    if (text !== undefined) return parseStatus(text);
    return {
      state: PagerState.failed,
      figures: NO_FIGURES,
      error: toErrorBody(pagerFailed('it ended by itself')),
    };
  }

  /** Whether its process lives. */
  get isAlive(): boolean {
    return this.#record.start !== 0 && processStart(this.#record.pid) === this.#record.start;
  }
}

/** Settles with the first status that is wanted; undefined when the socket closed before, or is not there. */
function hear(
  file: string,
  order: PagerOrder | undefined,
  wanted: (status: PagerStatus) => boolean,
  signal: AbortSignal,
): Promise<PagerStatus | undefined> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) {
      reject(deadline(signal));
      return;
    }
    const socket = connect(file);
    const abandon = () => settle(() => reject(deadline(signal)));
    const settle = (outcome: () => void) => {
      signal.removeEventListener('abort', abandon);
      socket.destroy();
      outcome();
    };
    signal.addEventListener('abort', abandon, { once: true });
    let rest = '';
    socket.setEncoding('utf8');
    socket.once('error', () => settle(() => resolve(undefined)));
    socket.once('close', () => settle(() => resolve(undefined)));
    socket.on('data', (text: string) => {
      const lines = (rest + text).split('\n');
      rest = lines.pop() ?? '';
      try {
        if (rest.length > LONGEST_LINE) parseStatus('');
        const found = lines.map(parseStatus).find(wanted);
        if (found) settle(() => resolve(found));
      } catch (error) {
        settle(() => reject(error));
      }
    });
    if (order) socket.write(`${JSON.stringify(order)}\n`);
  });
}

async function writeWhole(file: string, text: string): Promise<void> {
  await writeFile(`${file}.new`, text, { mode: 0o600 });
  await rename(`${file}.new`, file);
}

function deadline(signal: AbortSignal): HoldfastError {
  return new HoldfastError('DEADLINE', 'the process that serves memory pages took too long', {
    retryable: true,
    cause: signal.reason,
  });
}
