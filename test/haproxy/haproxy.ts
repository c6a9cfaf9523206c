import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, existsSync, openSync, readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { showInfo } from '../../haproxy/info.ts';
import { OneShotRuntime } from '../../haproxy/runtime.ts';
import { needPrograms } from '../lab/machine.ts';
import { whyNoLab } from '../lab/needs-lab.ts';
import { ensureRootfs } from '../lab/rootfs.ts';

const PREPARE_TIMEOUT_MS = 900_000;
const READY_TIMEOUT_MS = 20_000;
const STOP_TIMEOUT_MS = 10_000;
const POLL_MS = 10;

/** A HAProxy that can be had here: that of this machine's Debian, or that of the lab's hosts. */
export interface Edition {
  readonly name: string;
  /** Its root file system; this machine's own when not given. */
  readonly root?: string;
  /** The core it keeps to; all of them when not given. It has a thread for each core. */
  readonly core?: number;
}

/** The editions to test with, or why there are none. */
export async function editions(): Promise<Edition[] | string> {
  const why = await whyNoLab();
  if (why !== false) return why;
  const signal = AbortSignal.timeout(PREPARE_TIMEOUT_MS);
  await needPrograms({ haproxy: 'haproxy' }, () => {}, signal);
  return [{ name: 'the HAProxy of this machine' }, await labEdition(() => {}, signal)];
}

export async function labEdition(log: (line: string) => void, signal: AbortSignal): Promise<Edition> {
  return { name: "the HAProxy of the lab's hosts", root: await ensureRootfs(log, signal) };
}

/** Where a HAProxy under test has what, in a directory of its own that it sees under the same name. */
export interface Places {
  readonly dir: string;
  readonly socket: string;
  readonly masterSocket: string;
  readonly map: string;
}

export interface HaproxyOptions {
  readonly edition: Edition;
  readonly config: (places: Places) => string;
  /** Lines of the map file. */
  readonly map?: readonly string[];
}

/** A real HAProxy in the foreground, with a master process. Whoever starts it must `stop` it. */
export class Haproxy implements Places {
  readonly dir: string;
  readonly socket: string;
  readonly masterSocket: string;
  readonly map: string;
  readonly #edition: Edition;
  #child: ChildProcess | undefined;

  private constructor(edition: Edition, dir: string, map: string) {
    this.#edition = edition;
    this.dir = dir;
    this.socket = path.join(dir, 'admin.sock');
    this.masterSocket = path.join(dir, 'master.sock');
    this.map = map;
  }

  /** A directory for it, and an empty map unless it is to have that of `another`; nothing runs. */
  static async create(edition: Edition, another?: Haproxy): Promise<Haproxy> {
    const dir = await mkdtemp(path.join(tmpdir(), 'holdfast-haproxy-'));
    const haproxy = new Haproxy(edition, dir, another?.map ?? path.join(dir, 'apps.map'));
    if (another === undefined) await writeFile(haproxy.map, '');
    return haproxy;
  }

  static async start({ edition, config, map = [] }: HaproxyOptions): Promise<Haproxy> {
    const haproxy = await Haproxy.create(edition);
    await writeFile(haproxy.map, map.map((line) => `${line}\n`).join(''));
    return haproxy.begin(config(haproxy));
  }

  /** Run it for the first time. When it does not come up, it is as after `stop`. */
  async begin(config: string): Promise<this> {
    try {
      await writeFile(path.join(this.dir, 'haproxy.cfg'), config);
      await this.run();
      return this;
    } catch (error) {
      const log = this.log();
      await this.stop();
      throw new Error(`HAProxy did not come up:\n${log}`, { cause: error });
    }
  }

  /** Start it, also again after `kill`. */
  async run(): Promise<void> {
    const output = openSync(path.join(this.dir, 'log'), 'a');
    const haproxy = ['haproxy', '-W', '-S', this.masterSocket, '-f', path.join(this.dir, 'haproxy.cfg')];
    // It ends with whoever started it, at the latest; and so do the mounts it needs.
    const { root, core } = this.#edition;
    const pinned = core === undefined ? [] : ['taskset', '-c', String(core)];
    const guard = ['setpriv', '--pdeathsig', 'KILL', '--', ...pinned];
    const command =
      root === undefined
        ? [...guard, ...haproxy]
        : ['unshare', '-m', '--propagation', 'private', 'sh', '-ec'];
    if (root !== undefined) {
      const seen = [...new Set([this.dir, path.dirname(this.map)])].map(
        (dir) => `mkdir -p "$0${dir}"; mount --bind ${dir} "$0${dir}"`,
      );
      command.push(
        `mount -t tmpfs tmpfs "$0/tmp"; ${seen.join('; ')}; exec "$@"`,
        ...[root, ...guard, 'chroot', root, ...haproxy],
      );
    }
    try {
      const [program = '', ...args] = command;
      this.#child = spawn(program, args, { stdio: ['ignore', output, output] });
    } finally {
      closeSync(output);
    }
    await this.#answers();
  }

  /**
   * What a user does with `systemctl reload`. Settles when the new worker answers, and the master: it executes itself
   * anew, and refuses connections meanwhile.
   */
  async reload(): Promise<void> {
    const before = await this.pid();
    this.#child?.kill('SIGUSR2');
    const isAnother = (pid: number) => pid !== before;
    await eventually('a new worker', () => this.pid().then(isAnother, () => false));
    await eventually('the master', () => this.pid(this.masterSocket).then(isAnother, () => false));
  }

  /** End the master and its workers as a crash would. */
  async kill(): Promise<void> {
    const child = this.#child;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const [, ...workers] = this.pids();
    const ended = once(child, 'exit');
    child.kill('SIGKILL');
    for (const worker of workers) {
      try {
        process.kill(worker, 'SIGKILL');
      } catch {
        // It has ended with its master.
      }
    }
    await ended;
    await eventually('its socket to be nobody’s', () =>
      this.pid().then(
        () => false,
        (error) => error.code === 'HAPROXY_UNREACHABLE',
      ),
    );
  }

  /** Let every process of it stand still, as on a machine that hangs; and go on. */
  signal(signal: 'SIGSTOP' | 'SIGCONT'): void {
    for (const pid of this.pids()) process.kill(pid, signal);
  }

  /** The master, then its workers. */
  pids(): number[] {
    const { pid } = this.#child ?? {};
    return pid === undefined ? [] : [pid, ...childrenOf(pid)];
  }

  async stop(): Promise<void> {
    const timer = setTimeout(() => void this.kill(), STOP_TIMEOUT_MS);
    const child = this.#child;
    if (child !== undefined && child.exitCode === null && child.signalCode === null) {
      const ended = once(child, 'exit');
      child.kill('SIGTERM');
      await ended;
    }
    clearTimeout(timer);
    await rm(this.dir, { recursive: true, force: true });
  }

  /** Of the worker that takes new connections, as it sees itself. */
  async pid(socket = this.socket): Promise<number> {
    const runtime = new OneShotRuntime({ address: { path: socket } });
    const [{ pid }] = await runtime.ask([showInfo()], AbortSignal.timeout(READY_TIMEOUT_MS));
    return pid;
  }

  log(): string {
    return readFileSync(path.join(this.dir, 'log'), 'utf8');
  }

  logTail(lines: number): string {
    return existsSync(this.dir) ? this.log().trimEnd().split('\n').slice(-lines).join('\n') : '(no log)';
  }

  async #answers(): Promise<void> {
    const until = performance.now() + READY_TIMEOUT_MS;
    for (;;) {
      try {
        await this.pid();
        await this.pid(this.masterSocket);
        return;
      } catch (error) {
        if (performance.now() > until || this.#child?.exitCode !== null) throw error;
      }
      await sleep(POLL_MS);
    }
  }
}

function childrenOf(pid: number): number[] {
  return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean).map(Number);
}

export async function eventually(what: string, is: () => boolean | Promise<boolean>): Promise<void> {
  const until = performance.now() + READY_TIMEOUT_MS;
  while (!(await is())) {
    if (performance.now() > until) throw new Error(`waited in vain for ${what}`);
    await sleep(POLL_MS);
  }
}

/** Whether a version is at least another: `3.2.1-1` is at least `3.0`. */
export function isAtLeast(version: string, least: string): boolean {
  const [a = [], b = []] = [version, least].map((text) => text.split(/[.-]/).map(Number));
  return (a[0] ?? 0) > (b[0] ?? 0) || (a[0] === b[0] && (a[1] ?? 0) >= (b[1] ?? 0));
}
