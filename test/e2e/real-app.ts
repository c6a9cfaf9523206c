import { setTimeout as sleep } from 'node:timers/promises';
import { HoldfastError } from '../../migrator/errors.ts';
import type { Strategy } from '../../migrator/events.ts';
import { answering, createDockerLab, type DockerLab, ensureImages, runApp } from '../lab/docker.ts';
import { REAL_APPS } from '../lab/docker-image.ts';
import { whyNoLab } from '../lab/needs-lab.ts';
import type { EndedEvent } from '../system/admin.ts';
import { APP, type AppSettings, type ContainerSettings } from '../system/configs.ts';
import { installRuntime } from '../system/docker-system.ts';
import { type System, startSystem } from '../system/system.ts';

export interface RealAppOptions {
  /** What the container runs, for `sh -c`. It answers GET /health at port 8080. */
  readonly script: string;
  /** Further words of `docker run`. */
  readonly run?: readonly string[];
  /** Of the app in the gateway's configuration. */
  readonly hold?: AppSettings['hold'];
}

/** As long as a gate may hold a request, by its defaults. */
export const ANSWER_TIMEOUT_MS = 30_000;
const PAUSE_MS = 20;
const FAILURES_KEPT = 10;
const IMAGE_TIMEOUT_MS = 150_000;

/** Why real apps cannot be moved on this machine, or `false`. */
export async function whyNoRealApps(): Promise<string | false> {
  const noLab = await whyNoLab();
  if (noLab !== false) return noLab;
  try {
    await ensureImages(REAL_APPS, { signal: AbortSignal.timeout(IMAGE_TIMEOUT_MS) });
    return false;
  } catch (error) {
    if (!(error instanceof HoldfastError) || process.env.CI === 'true') throw error;
    return error.message;
  }
}

/** An app of the kind people really run, in a container of a stock Docker Engine. Whoever gets it must `close` it. */
export class RealApp {
  readonly #docker: DockerLab;
  readonly #system: System;
  /** The host it runs on. */
  here: string;

  private constructor(docker: DockerLab, system: System, here: string) {
    this.#docker = docker;
    this.#system = system;
    this.here = here;
  }

  static async open({ script, run = [], hold = {} }: RealAppOptions): Promise<RealApp> {
    const docker = await createDockerLab({ image: REAL_APPS });
    let system: System | undefined;
    try {
      const [first = 'a', ...others] = docker.lab.hosts.keys();
      for (const host of [first, ...others]) await installRuntime(docker.on(host));
      await runApp(docker.on(first), { image: REAL_APPS.name, more: run, command: ['sh', '-ec', script] });
      system = await startSystem({
        lab: docker.lab,
        idle: true,
        agent(settings) {
          const container: ContainerSettings = { engine: 'docker', health: { path: '/health' } };
          settings.containers = { [APP]: container };
        },
        gateway(settings) {
          settings.apps = { [APP]: { match: [{ path: '/' }], container: APP, hold } };
        },
      });
      return new RealApp(docker, system, first);
    } catch (error) {
      await system?.stop();
      await docker.down();
      throw error;
    }
  }

  /** Where users reach it. */
  get url(): string {
    return this.#system.url;
  }

  /** The other host. */
  get there(): string {
    return [...this.#docker.lab.hosts.keys()].find((host) => host !== this.here) ?? '';
  }

  /** What it answers a user. @throws when it is not a good answer */
  async ask(path: string, init: RequestInit = {}): Promise<string> {
    const answer = await fetch(`${this.url}${path}`, {
      ...init,
      signal: AbortSignal.timeout(ANSWER_TIMEOUT_MS),
    });
    const text = await answer.text();
    if (!answer.ok) throw new Error(`${path} was answered ${answer.status}: ${text.slice(0, 200)}`);
    return text;
  }

  /** Move it to the other host. */
  async move(strategy: Strategy): Promise<EndedEvent> {
    const { there } = this;
    const ended = await this.#system.migrate(there, () => {}, { strategy });
    if (ended.outcome === 'succeeded') this.here = there;
    return ended;
  }

  /** Run a program on the other host. */
  async runThere(program: string, ...args: readonly string[]): Promise<void> {
    const { host } = this.#docker.on(this.there);
    await host.exec(program, args, { signal: AbortSignal.timeout(ANSWER_TIMEOUT_MS) });
  }

  docker(...args: readonly string[]): Promise<string> {
    return this.#docker.on(this.here).docker(...args);
  }

  /** What a script says that runs in its container. */
  inside(script: string): Promise<string> {
    return this.docker('exec', APP, 'sh', '-ec', script);
  }

  /** What `docker logs` tells of it here. */
  async logged(): Promise<string> {
    const { host } = this.#docker.on(this.here);
    const { stdout, stderr } = await host.exec('docker', ['logs', APP], {
      signal: AbortSignal.timeout(ANSWER_TIMEOUT_MS),
    });
    return stdout + stderr;
  }

  /** As somebody does who does not know of Holdfast. Settles when it answers again. */
  async restart(): Promise<void> {
    await this.docker('restart', '--time', '1', APP);
    await answering(`${this.url}/health`, AbortSignal.timeout(ANSWER_TIMEOUT_MS));
  }

  logs(): string {
    return this.#system.logs(40);
  }

  async close(): Promise<void> {
    await this.#system.stop();
    await this.#docker.down();
  }
}

/** Users who do one thing after the other, each for himself, until they are told to end. */
export class Users {
  readonly #ending = new AbortController();
  readonly #all: Promise<unknown>;
  /** What went wrong, in words; the first few. */
  readonly failures: string[] = [];
  done = 0;

  /** @param act one thing that the user does, his nth, counted from 1; it is not done when this throws */
  constructor(count: number, act: (user: number, nth: number) => Promise<void>) {
    const users = Array.from({ length: count }, async (_, user) => {
      for (let nth = 1; !this.#ending.signal.aborted; nth += 1) {
        try {
          await act(user, nth);
          this.done += 1;
        } catch (error) {
          if (this.failures.length < FAILURES_KEPT) this.failures.push(String(error));
        }
        await sleep(PAUSE_MS);
      }
    });
    this.#all = Promise.all(users);
  }

  /** Settles when they have done that many things more. */
  async doMore(count: number): Promise<void> {
    const wanted = this.done + count;
    const until = performance.now() + ANSWER_TIMEOUT_MS;
    while (this.done < wanted) {
      if (performance.now() > until) throw new Error(`the users are at a standstill: ${this.failures[0]}`);
      await sleep(PAUSE_MS);
    }
  }

  /** Settles when what they have begun is done. */
  async end(): Promise<void> {
    this.#ending.abort();
    await this.#all;
  }
}
