import { mkdir, readdir } from 'node:fs/promises';
import path from 'node:path';
import { pino } from 'pino';
import type { Test } from 'tap';
import { type RunningAgent, startAgent } from '../../../migrator/agent/agent.ts';
import { AgentClient } from '../../../migrator/agent/client.ts';
import { DumpMemory } from '../../../migrator/engine/engine.ts';
import { initAuthority, issueCertificate } from '../../../migrator/pki/directory.ts';
import { Role } from '../../../migrator/pki/role.ts';
import { readTlsFiles, type TlsMaterial } from '../../../migrator/pki/tls-files.ts';
import { MemoryEngine } from './memory-engine.ts';

export const APP = 'shop';

/** Certificates of one authority for a gateway and for agents on loopback. */
export async function makePki(dir: string): Promise<(name: string, role: Role) => Promise<TlsMaterial>> {
  await initAuthority({ dir, days: 2, force: false });
  return async (name, role) => {
    const issued = await issueCertificate({ dir, name, role, san: ['127.0.0.1'], days: 2, force: false });
    return readTlsFiles({ ca: path.join(dir, 'ca.crt'), cert: issued.certificateFile, key: issued.keyFile });
  };
}

export class TestHost {
  readonly engine = new MemoryEngine(APP);
  readonly runDir: string;
  readonly #stateDir: string;
  readonly #tls: TlsMaterial;
  readonly #gateway: TlsMaterial;
  readonly #name: string;
  readonly #lingering: RunningAgent[] = [];
  #agent: RunningAgent | undefined;
  #client: AgentClient | undefined;

  constructor(options: {
    name: string;
    dir: string;
    runDir?: string;
    tls: TlsMaterial;
    gateway: TlsMaterial;
  }) {
    this.#name = options.name;
    this.runDir = options.runDir ?? path.join(options.dir, 'run');
    this.#stateDir = path.join(options.dir, 'state');
    this.#tls = options.tls;
    this.#gateway = options.gateway;
  }

  get agent(): AgentClient {
    if (!this.#client) throw new Error('the agent is not started');
    return this.#client;
  }

  async start(): Promise<void> {
    this.#agent = await startAgent({
      host: this.#name,
      version: '0.0.0',
      listen: { host: '127.0.0.1', port: 0 },
      runDir: this.runDir,
      stateDir: this.#stateDir,
      tls: this.#tls,
      pagesStallMs: 30_000,
      engines: [this.engine],
      log: pino({ enabled: false }),
    });
    this.#client = this.clientWith(this.#gateway);
  }

  /** Another caller of this agent, with a certificate of its own. */
  clientWith(tls: TlsMaterial): AgentClient {
    return new AgentClient({ host: this.#name, url: `https://127.0.0.1:${this.#agent?.port}`, tls });
  }

  async stop(): Promise<void> {
    await this.#client?.close();
    await this.#agent?.close();
    this.#agent = undefined;
    for (const agent of this.#lingering.splice(0)) await agent.close();
  }

  /**
   * Leave everything as a killed process does: records, workspaces, containers. The agent of before lingers, unasked,
   * until the test ends.
   */
  async crash(): Promise<void> {
    await this.#client?.close();
    if (this.#agent) this.#lingering.push(this.#agent);
    this.#agent = undefined;
  }

  /** What is left in the workspaces. */
  async leftovers(): Promise<string[]> {
    const dirs = ['images', 'work'].map((name) => path.join(this.runDir, name));
    return (await Promise.all(dirs.map((dir) => readdir(dir)))).flat();
  }
}

/** Two agents on loopback, `a` with the app running in it; gone when the test ends. */
export async function twoHosts(
  t: Test,
  options: { destinationRunDir?: string } = {},
): Promise<{
  a: TestHost;
  b: TestHost;
  issue: (name: string, role: Role) => Promise<TlsMaterial>;
}> {
  const dir = t.testdir();
  const issue = await makePki(path.join(dir, 'pki'));
  const gateway = await issue('gateway', Role.gateway);
  const make = async (name: string, runDir?: string) => {
    const own = path.join(dir, name);
    await mkdir(own);
    const tls = await issue(name, Role.agent);
    const host = new TestHost({ name, dir: own, tls, gateway, ...(runDir === undefined ? {} : { runDir }) });
    await host.start();
    t.teardown(() => host.stop());
    return host;
  };
  const a = await make('a');
  const b = await make('b', options.destinationRunDir);
  a.engine.states.set(APP, 'running');
  return { a, b, issue };
}

/** A deadline no test comes near to. */
export function soon(): AbortSignal {
  return AbortSignal.timeout(20_000);
}

/** The steps of a migration up to and with `last`. */
export async function migrateUpTo(
  last:
    | 'prepare'
    | 'connect'
    | 'bring'
    | 'get-ready'
    | 'stand-by'
    | 'freeze'
    | 'dump'
    | 'send'
    | 'restore'
    | 'commit',
  hosts: { a: TestHost; b: TestHost },
  options: { id?: string; leaseMs?: number } = {},
): Promise<void> {
  const { a, b } = hosts;
  const { id = 'm1', leaseMs = 20_000 } = options;
  const { footprint, brings } = await a.agent.examine(id, APP, soon());
  await b.agent.admit(id, APP, footprint, soon());
  const steps: [typeof last, () => Promise<unknown>][] = [
    ['prepare', () => b.agent.prepare(id, { container: APP, leaseMs }, soon())],
    ['connect', () => a.agent.connect(id, { container: APP, to: b.agent.url }, soon())],
    ['bring', async () => brings && (await a.agent.bring(id, soon()))],
    ['get-ready', async () => brings && (await a.agent.getReady(id, soon()))],
    ['stand-by', async () => brings && (await b.agent.standBy(id, soon()))],
    ['freeze', () => a.agent.freeze(id, soon())],
    ['dump', () => a.agent.dump(id, DumpMemory.inImages, soon())],
    ['send', () => a.agent.send(id, soon())],
    ['restore', () => b.agent.restore(id, soon())],
    ['commit', () => b.agent.commit(id, soon())],
  ];
  for (const [name, step] of steps) {
    await step();
    if (name === last) return;
  }
}
