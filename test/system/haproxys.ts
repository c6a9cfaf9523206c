import { getMap } from '../../haproxy/maps.ts';
import { Way } from '../../haproxy/names.ts';
import { OneShotRuntime } from '../../haproxy/runtime.ts';
import { run } from '../../migrator/process.ts';
import { PLAIN_NODE, repoDir } from '../build.mjs';
import { type Edition, eventually, Haproxy } from '../haproxy/haproxy.ts';
import { type GatewaySettings, HAPROXY_PORT } from './configs.ts';

const CONFIG_TIMEOUT_MS = 20_000;
const ASK_TIMEOUT_MS = 5_000;

/** The HAProxys in front of a system, set up by what `gateway haproxy config` prints; maybe none. */
export class Haproxys {
  readonly all: readonly Haproxy[];
  readonly #address: string;

  private constructor(all: readonly Haproxy[], address: string) {
    this.all = all;
    this.#address = address;
  }

  /** Nothing runs yet. They take users' connections at `address`, each at a port of its own. */
  static async create(editions: readonly Edition[], address: string): Promise<Haproxys> {
    const all: Haproxy[] = [];
    // One gateway knows one name of the map.
    for (const edition of editions) all.push(await Haproxy.create(edition, all[0]));
    return new Haproxys(all, address);
  }

  /** Where users come in. */
  get urls(): string[] {
    return this.all.map((_, index) => `http://${this.#bind(index)}`);
  }

  configure(settings: GatewaySettings): void {
    const [first] = this.all;
    if (first === undefined) return;
    const sockets = this.all.map(({ masterSocket }) => masterSocket);
    settings.gate = { type: 'haproxy', sockets, map: first.map };
  }

  /** Start them all, as the gateway's configuration has it. `program` is the gateway. */
  async begin(program: string, configFile: string): Promise<void> {
    for (const [index, haproxy] of this.all.entries()) {
      const { socket } = haproxy;
      await haproxy.begin(await configFor(program, configFile, { bind: this.#bind(index), socket }));
    }
  }

  /** Settles when every one of them sends the app's requests to it directly. */
  async direct(app: string): Promise<void> {
    for (const haproxy of this.all) await directWay(haproxy, app);
  }

  async stop(): Promise<void> {
    await Promise.all(this.all.map((haproxy) => haproxy.stop()));
  }

  #bind(index: number): string {
    return `${this.#address}:${HAPROXY_PORT + index}`;
  }
}

/** What `gateway haproxy config` prints. */
export async function configFor(
  program: string,
  configFile: string,
  { bind, socket }: { bind: string; socket: string },
): Promise<string> {
  const config = ['haproxy', 'config', '-c', configFile, '--bind', bind, '--socket', socket];
  const signal = AbortSignal.timeout(CONFIG_TIMEOUT_MS);
  const command = [...PLAIN_NODE, process.execPath, program, ...config];
  const { stdout } = await run('/usr/bin/env', command, { signal, cwd: repoDir });
  return stdout;
}

/** Settles when HAProxy sends the app's requests to it directly. */
export function directWay(haproxy: Haproxy, app: string): Promise<void> {
  return eventually('HAProxy to go the direct way', () => isDirect(haproxy, app));
}

/** One that is away, as in a fault, is not direct. */
async function isDirect({ masterSocket, map }: Haproxy, app: string): Promise<boolean> {
  const runtime = new OneShotRuntime({ address: { path: masterSocket } });
  const asked = runtime.ask([getMap(map, app)], AbortSignal.timeout(ASK_TIMEOUT_MS));
  return asked.then(
    ([way]) => way === Way.direct,
    () => false,
  );
}
