import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { MigrationEvent, Step } from '../../migrator/events.ts';
import type { MigrationRequest } from '../../migrator/orders.ts';
import { createLab, type Lab, type LabHost, parseLink } from '../lab/lab.ts';
import type { EndedEvent } from '../system/admin.ts';
import { APP } from '../system/configs.ts';
import { AGENT_STATE_DIR, type Instance } from '../system/inspect.ts';
import { type System, type SystemOptions, startSystem } from '../system/system.ts';
import { RemoteLoad } from '../workload/remote-load.ts';
import type { LoadReport, Window } from '../workload/report.ts';

export interface SceneOptions extends Omit<SystemOptions, 'lab'> {
  readonly ratePerS?: number;
  /** Share of POSTs, 0 to 1. */
  readonly postShare?: number;
  /** How much the file system of the images holds on each host; the machine's own limit when not given. */
  readonly imagesMib?: number;
  /** A script run on each host before anything is started. */
  readonly prepareHost?: string;
}

const CALL_TIMEOUT_MS = 10_000;
const EVENTUALLY_MS = 20_000;
const POLL_MS = 10;

/** The migration under way: its id, and every event until now. */
export interface UnderWay {
  readonly id: string;
  readonly events: readonly MigrationEvent[];
}

/** A whole system with users in front of it, for one test file. Whoever gets it must `close` it. */
export class Scene {
  readonly lab: Lab;
  readonly system: System;
  readonly load: RemoteLoad;
  /** The host the app runs on. */
  here: string;

  constructor(lab: Lab, system: System, load: RemoteLoad, here: string) {
    this.lab = lab;
    this.system = system;
    this.load = load;
    this.here = here;
  }

  static async open(options: SceneOptions = {}): Promise<Scene> {
    const { ratePerS = 120, postShare = 0.3, imagesMib, prepareHost, ...rest } = options;
    const lab = await createLab();
    let system: System | undefined;
    try {
      const [first = 'a'] = lab.hosts.keys();
      if (imagesMib !== undefined) {
        const mount = `mkdir -p ${AGENT_STATE_DIR}; mount -t tmpfs -o mode=700,size=${imagesMib}m tmpfs ${AGENT_STATE_DIR}`;
        for (const host of lab.hosts.values()) await sh(host, mount);
      }
      if (prepareHost !== undefined) for (const host of lab.hosts.values()) await sh(host, prepareHost);
      system = await startSystem({ ...rest, lab });
      const [url = system.url, ...others] = system.urls;
      const load = await RemoteLoad.start({ url, others, ratePerS, postShare, clients: 24 });
      return new Scene(lab, system, load, first);
    } catch (error) {
      await system?.stop();
      await lab.down();
      throw error;
    }
  }

  /** The other host. */
  get there(): string {
    const other = [...this.lab.hosts.keys()].find((host) => host !== this.here);
    if (other === undefined) throw new Error('there is but one host');
    return other;
  }

  host(name: string): LabHost {
    return this.lab.host(name);
  }

  sh(host: string, script: string): Promise<string> {
    return sh(this.host(host), script);
  }

  /** Let the link of a host be so slow that a transfer lasts for seconds. */
  async slow(host: string, link = '20mbit'): Promise<void> {
    await this.lab.setLink(parseLink(link), host);
  }

  /** Let two hosts not reach each other any more, while everybody else reaches both. */
  async part(): Promise<void> {
    const [a, b] = [this.here, this.there];
    await this.sh(a, `ip route replace blackhole ${this.host(b).address}/32`);
    await this.sh(b, `ip route replace blackhole ${this.host(a).address}/32`);
  }

  async rejoin(): Promise<void> {
    for (const name of this.lab.hosts.keys()) await this.sh(name, 'ip route flush type blackhole');
  }

  async fast(host: string): Promise<void> {
    await this.lab.setLink({}, host);
  }

  /** What has come to a host over its link. */
  async receivedBytes(host: string): Promise<number> {
    return Number(await this.sh(host, 'cat /sys/class/net/eth0/statistics/rx_bytes'));
  }

  /** Order a move to the other host, and let `strike` be called at each event; `here` is where the app is at the end. */
  async move(
    strike: (event: MigrationEvent, underWay: UnderWay) => Promise<void> | void = () => {},
    options: Omit<MigrationRequest, 'app' | 'to'> = {},
  ): Promise<EndedEvent> {
    const { admin } = this.system;
    const id = await admin.order(APP, this.there, options);
    const events: MigrationEvent[] = [];
    const within = AbortSignal.timeout(60_000);
    for (let tries = 0; ; tries += 1) {
      try {
        // Again from the first after the gateway was killed: those that were heard are passed over.
        let nth = 0;
        for await (const event of admin.events(id, within)) {
          nth += 1;
          if (nth <= events.length) continue;
          events.push(event);
          await strike(event, { id, events });
          if (event.type !== 'ended') continue;
          if (event.outcome === 'succeeded') this.here = this.there;
          return event;
        }
        throw new Error('the events broke off');
      } catch (error) {
        within.throwIfAborted();
        if (!this.#gatewayWasKilled || tries > 100) throw error;
        await sleep(POLL_MS);
      }
    }
  }

  #gatewayWasKilled = false;

  async killGateway(): Promise<void> {
    this.#gatewayWasKilled = true;
    await this.system.gateway.kill({ restart: false });
    await this.system.gateway.start({ supervise: false });
  }

  /** Take a host out of the configuration, and start the gateway again. */
  async forgetHost(host: string): Promise<void> {
    await this.system.reconfigureGateway(({ hosts }) => {
      delete hosts?.[host];
    });
    await this.killGateway();
  }

  /** Kill an agent and wait until its supervisor has it up again. */
  async killAgent(host: string): Promise<void> {
    const agent = this.system.agent(host);
    const { starts } = agent;
    await agent.kill();
    await eventually(`the agent on ${host} to be started again`, () => agent.starts > starts);
    await agent.ready();
  }

  /** Kill a host's copy of the app, frozen or not, as somebody would who does not know of Holdfast. */
  async killApp(host: string): Promise<void> {
    const cgroup = `/sys/fs/cgroup/freezer/holdfast-*-${APP} /sys/fs/cgroup/holdfast-*-${APP}`;
    await this.sh(
      host,
      `for dir in ${cgroup}; do
         [ -d $dir ] || continue
         for pid in $(cat $dir/cgroup.procs); do kill -9 $pid; done
         [ ! -e $dir/freezer.state ] || echo THAWED >$dir/freezer.state
       done`,
    );
  }

  /** Wait for images of the migration to lie on a host. */
  async imagesOn(host: string, id: string, name = /^pages-/): Promise<string> {
    const dir = path.join(this.host(host).rootDir, AGENT_STATE_DIR, 'images', id);
    let found: string | undefined;
    await eventually(`images of ${id} on ${host}`, () => {
      found = list(dir).find((file) => name.test(file));
      return found !== undefined;
    });
    return path.join(dir, found ?? '');
  }

  /** The phase in which a host's agent has a migration, as its record on the disk says. */
  phaseOn(host: string, id: string): string | undefined {
    return this.#records(host).find((record) => record.id === id)?.phase;
  }

  instances(): Promise<Instance[]> {
    return this.system.instances();
  }

  /** All that is left of migrations and should not be: on the hosts, in the agents' records, in the journal. */
  async leftovers(): Promise<string[]> {
    const scratch = [...this.lab.hosts.values()].flatMap(({ name, rootDir }) =>
      list(path.join(rootDir, 'tmp'))
        .filter((file) => /^(\.criu\.|holdfast-)/.test(file))
        .map((file) => `${name}: /tmp/${file}`),
    );
    const open = [...this.lab.hosts.keys()].flatMap((host) =>
      this.#records(host)
        .filter(({ phase }) => !/^(thawed|finished|committed|discarded|expired|lost)$/.test(phase))
        .map(({ id, phase }) => `${host}: record ${id} ${phase}`),
    );
    const journals = path.join(this.system.dir, 'gateway-state/journal');
    const unclosed = list(journals).filter(
      (file) => !readFileSync(path.join(journals, file), 'utf8').includes('"type":"closed"'),
    );
    return [...(await this.leftOnHosts()), ...scratch, ...open, ...unclosed];
  }

  protected leftOnHosts(): Promise<string[]> {
    return this.system.leftovers();
  }

  /** What is still left after a while: an agent that was away is told a little later. */
  async lasting(): Promise<string[]> {
    const until = performance.now() + EVENTUALLY_MS;
    for (;;) {
      const left = await this.leftovers();
      if (left.length === 0 || performance.now() > until) return left;
      await sleep(POLL_MS);
    }
  }

  finish(windows: readonly Window[]): Promise<LoadReport> {
    return this.load.finish(windows);
  }

  async close(): Promise<void> {
    await this.load.stop();
    await this.system.stop();
    await this.lab.down();
  }

  #records(host: string): { id: string; phase: string }[] {
    const dir = path.join(this.host(host).rootDir, 'var/lib/holdfast/migrations');
    return list(dir)
      .filter((file) => file.endsWith('.json'))
      .map((file) => JSON.parse(readFileSync(path.join(dir, file), 'utf8')));
  }
}

/** Whether an event is the beginning of a step. */
export function begins(event: MigrationEvent, step: Step): boolean {
  return event.type === 'step-started' && event.step === step;
}

export async function eventually(what: string, is: () => boolean | Promise<boolean>): Promise<void> {
  const until = performance.now() + EVENTUALLY_MS;
  while (!(await is())) {
    if (performance.now() > until) throw new Error(`waited in vain for ${what}`);
    await sleep(POLL_MS);
  }
}

async function sh(host: LabHost, script: string): Promise<string> {
  const { stdout } = await host.exec('sh', ['-ec', script], { signal: AbortSignal.timeout(CALL_TIMEOUT_MS) });
  return stdout.trim();
}

function list(dir: string): string[] {
  try {
    return readdirSync(dir);
  } catch {
    return [];
  }
}
