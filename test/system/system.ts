import { spawn } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { parse, stringify } from 'yaml';
import type { MigrationEvent } from '../../migrator/events.ts';
import type { MigrationRequest } from '../../migrator/orders.ts';
import { build, PLAIN_NODE, repoDir } from '../build.mjs';
import type { Edition } from '../haproxy/haproxy.ts';
import { createLab, type Lab, type LabHost, type Link } from '../lab/lab.ts';
import { disksDir } from '../lab/names.ts';
import { Supervised } from '../lab/supervised.ts';
import { Admin, type EndedEvent } from './admin.ts';
import { issueAll } from './certificates.ts';
import {
  ADMIN_PORT,
  AGENT_PORT,
  type AgentSettings,
  APP,
  type AppOptions,
  adminAddress,
  agentSettings,
  FRONT_PORT,
  type GatewaySettings,
  gatewaySettings,
} from './configs.ts';
import { Haproxys } from './haproxys.ts';
import { additions, type Instance, type Inventory, instancesOn, inventoryOf } from './inspect.ts';

export interface SystemOptions {
  /** A lab that is up already, and stays up afterwards, unless the system is to own it. */
  readonly lab?: Lab;
  readonly ownsLab?: boolean;
  /** `a` and `b` when not given; the app starts on the first. */
  readonly hosts?: readonly string[];
  readonly link?: Link;
  readonly app?: AppOptions;
  /** HAProxys to stand in front; none when not given. */
  readonly haproxys?: readonly Edition[];
  /** Change the settings before they are written. */
  readonly gateway?: (settings: GatewaySettings) => void;
  readonly agent?: (settings: AgentSettings, host: string) => void;
  /** Start the agents again when they die, as systemd would. On when not given. */
  readonly supervise?: boolean;
  /** Leave the app unstarted. */
  readonly idle?: boolean;
  readonly signal?: AbortSignal;
  /** Told what is being done. */
  readonly log?: (line: string) => void;
}

const GATEWAY_FILE = 'gateway.yaml';

/** A whole Holdfast on a lab: certificates, an agent on each host, the gateway on the machine, one app. */
export class System {
  readonly lab: Lab;
  readonly admin: Admin;
  /** Where users reach the app. */
  readonly url: string;
  /** All the places where they do: more than one with more than one HAProxy. */
  readonly urls: readonly string[];
  readonly haproxys: Haproxys;
  readonly gateway: Supervised;
  /** Configuration, keys, logs and the gateway's state; gone after `stop`. */
  readonly dir: string;
  readonly #agents: ReadonlyMap<string, Supervised>;
  readonly #program: string;
  readonly #ownsLab: boolean;
  #empty: ReadonlyMap<string, Inventory> = new Map();

  constructor(lab: Lab, dir: string, program: string, haproxys: Haproxys, ownsLab: boolean) {
    this.lab = lab;
    this.dir = dir;
    this.#program = program;
    this.#ownsLab = ownsLab;
    this.admin = new Admin(`http://${adminAddress(lab)}:${ADMIN_PORT}`);
    this.haproxys = haproxys;
    const own = `http://${lab.gatewayAddress}:${FRONT_PORT}`;
    this.urls = haproxys.all.length === 0 ? [own] : haproxys.urls;
    this.url = this.urls[0] ?? own;
    this.gateway = gatewayProgram(dir, program, this.admin.url);
    this.#agents = new Map(
      [...lab.hosts.values()].map((host) => [host.name, agentProgram(host, dir, program)]),
    );
  }

  agent(host: string): Supervised {
    const agent = this.#agents.get(host);
    if (agent === undefined) throw new Error(`there is no host ${host}`);
    return agent;
  }

  /** Start agents, the gateway, and what stands in front of it. */
  async start(options: { supervise: boolean }): Promise<void> {
    await this.haproxys.begin(this.#program, path.join(this.dir, GATEWAY_FILE));
    await Promise.all([...this.#agents.values()].map((agent) => agent.start(options)));
    // Of the gateway a test decides itself when it comes back.
    await this.gateway.start({ supervise: false });
    this.#empty = new Map(
      await Promise.all(
        [...this.lab.hosts.values()].map(async (host) => [host.name, await inventoryOf(host)] as const),
      ),
    );
  }

  /** Change what the gateway will be told at its next start. */
  async reconfigureGateway(change: (settings: GatewaySettings) => void): Promise<void> {
    const file = path.join(this.dir, GATEWAY_FILE);
    const settings = parse(await readFile(file, 'utf8')) as GatewaySettings;
    change(settings);
    await writeFile(file, stringify(settings));
  }

  /** Start the app on a host, and settle when the gateway lets users through to it. */
  async startApp(host: string): Promise<void> {
    await this.admin.startApp(APP, host);
    await retry('the app does not answer through the gateway', AbortSignal.timeout(10_000), async () => {
      const response = await fetch(`${this.url}/health`, { signal: AbortSignal.timeout(1_000) });
      if (!response.ok) throw new Error(`/health answered ${response.status}`);
    });
    await this.direct();
  }

  /** Settles when nothing of Holdfast is in the users' way, where that is so while nothing moves: with HAProxy. */
  async direct(app = APP): Promise<void> {
    await this.haproxys.direct(app);
  }

  /** Move the app, and follow it to its end, however it ends. */
  migrate(
    to: string,
    onEvent?: (event: MigrationEvent) => void,
    options?: Omit<MigrationRequest, 'app' | 'to'>,
  ): Promise<EndedEvent> {
    return this.admin.migrate(APP, to, onEvent, options);
  }

  /** The app's copies on all hosts, as runc itself tells. */
  async instances(): Promise<Instance[]> {
    return (await Promise.all([...this.lab.hosts.values()].map(instancesOn))).flat();
  }

  /** What is on the hosts and was not before the app was started, save the app itself where it runs. */
  async leftovers(): Promise<string[]> {
    const running = new Set((await this.instances()).map(({ host }) => host));
    const perHost = await Promise.all(
      [...this.lab.hosts.values()].map(async (host) => {
        const before = this.#empty.get(host.name);
        if (before === undefined) return [];
        const added = additions(before, await inventoryOf(host));
        const kept = running.has(host.name) ? added.filter((one) => !isOfApp(one)) : added;
        return kept.map((one) => `${host.name}: ${one}`);
      }),
    );
    return perHost.flat();
  }

  /** The end of every part's log, for when something went wrong. */
  logs(lines = 25): string {
    const parts = [this.gateway, ...this.#agents.values()];
    const own = parts.map((part) => `── ${part.name}\n${part.logTail(lines)}`);
    const fronts = this.haproxys.all.map((haproxy) => `── HAProxy\n${haproxy.logTail(lines)}`);
    return [...own, ...fronts].join('\n');
  }

  /** Take everything down. May be called twice, and at any point. */
  async stop(): Promise<void> {
    const parts = [...this.#agents.values(), this.gateway, this.haproxys];
    await Promise.allSettled(parts.map((part) => part.stop()));
    if (this.#ownsLab) await this.lab.down();
    await rm(this.dir, { recursive: true, force: true });
  }
}

/**
 * Bring a whole system up. Whoever gets it must `stop` it; when this throws, all is down again.
 *
 * @throws with the logs' ends when a part does not come up
 */
export async function startSystem(options: SystemOptions = {}): Promise<System> {
  const log = options.log ?? (() => {});
  const { signal } = options;
  const program = path.join(build(), 'gateway/main.js');
  const lab =
    options.lab ??
    (await createLab({
      ...(options.hosts === undefined ? {} : { hosts: options.hosts }),
      ...(options.link === undefined ? {} : { link: options.link }),
      ...(signal === undefined ? {} : { signal }),
      log,
    }));
  // On the lab's disk, which goes away with the lab whatever becomes of this process.
  await mkdir(disksDir(lab.name), { recursive: true });
  const dir = await mkdtemp(path.join(disksDir(lab.name), 'system-'));
  const haproxys = await Haproxys.create(options.haproxys ?? [], lab.gatewayAddress);
  const ownsLab = options.ownsLab ?? options.lab === undefined;
  const system = new System(lab, dir, program, haproxys, ownsLab);
  try {
    log(`hosts ${[...lab.hosts.keys()].join(', ')} are up; certificates and configuration`);
    await issueAll(lab, path.join(dir, 'pki'));
    await writeConfigs(lab, dir, haproxys, options);
    signal?.throwIfAborted();
    log('starting an agent on each host, and the gateway');
    await system.start({ supervise: options.supervise ?? true });
    signal?.throwIfAborted();
    const [first] = lab.hosts.keys();
    if (options.idle !== true && first !== undefined) {
      log(`starting the app on ${first}, ${options.app?.memoryMib ?? 64} MiB of sessions`);
      await system.startApp(first);
    }
    return system;
  } catch (error) {
    const logs = system.logs();
    await system.stop();
    if (signal?.aborted) throw error;
    throw new Error(`the system did not come up: ${String(error)}\n${logs}`, { cause: error });
  }
}

async function writeConfigs(
  lab: Lab,
  dir: string,
  haproxys: Haproxys,
  options: SystemOptions,
): Promise<void> {
  await mkdir(path.join(dir, 'gateway-state'), { recursive: true });
  const gateway = gatewaySettings(lab, dir);
  haproxys.configure(gateway);
  options.gateway?.(gateway);
  await writeFile(path.join(dir, GATEWAY_FILE), stringify(gateway));
  for (const host of lab.hosts.values()) {
    const agent = agentSettings(host, options.app ?? {});
    options.agent?.(agent, host.name);
    await writeFile(path.join(host.rootDir, 'etc/holdfast/agent.yaml'), stringify(agent));
  }
}

function gatewayProgram(dir: string, program: string, adminUrl: string): Supervised {
  const serve = [program, 'serve', '-c', path.join(dir, GATEWAY_FILE)];
  return new Supervised({
    name: 'gateway',
    logFile: path.join(dir, 'gateway.log'),
    spawn: (output) =>
      spawn(
        'setpriv',
        // It must not outlive whoever started it, even one that was killed.
        ['--pdeathsig', 'KILL', '/usr/bin/env', ...PLAIN_NODE, process.execPath, ...serve],
        { cwd: repoDir, stdio: ['ignore', output, output] },
      ),
    ready: (signal) =>
      retry('the gateway does not answer', signal, async () => {
        const response = await fetch(`${adminUrl}/healthz`, { signal: AbortSignal.timeout(1_000) });
        if (!response.ok) throw new Error(`/healthz answered ${response.status}`);
      }),
  });
}

function agentProgram(host: LabHost, dir: string, program: string): Supervised {
  const agent = [path.join('/opt/holdfast', program), 'agent', '-c', '/etc/holdfast/agent.yaml'];
  return new Supervised({
    name: `agent ${host.name}`,
    logFile: path.join(dir, `agent-${host.name}.log`),
    spawn: (output) =>
      host.spawn('/usr/bin/env', [...PLAIN_NODE, '/usr/bin/node', ...agent], {
        stdio: ['ignore', output, output],
      }),
    ready: (signal) =>
      retry(`the agent on ${host.name} does not listen`, signal, () => dial(host.address, AGENT_PORT)),
  });
}

function dial(address: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: address, port, timeout: 1_000 });
    socket.once('connect', () => resolve());
    socket.once('timeout', () => reject(new Error('no answer')));
    socket.once('error', reject);
    socket.once('connect', () => socket.destroy());
  });
}

async function retry(what: string, signal: AbortSignal, attempt: () => Promise<void>): Promise<void> {
  for (;;) {
    try {
      return await attempt();
    } catch (cause) {
      if (signal.aborted) throw new Error(`${what}: ${String(cause)}`, { cause });
      await delay(25);
    }
  }
}

function isOfApp(addition: string): boolean {
  return addition.split(/[/:. -]/).includes(APP);
}
