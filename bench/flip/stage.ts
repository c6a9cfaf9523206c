import { pino } from 'pino';
import { stringify } from 'yaml';
import { parseAddress } from '../../gateway/config/address.ts';
import { parseGatewayConfig } from '../../gateway/config/load.ts';
import type { Gates } from '../../gateway/gate/gates.ts';
import { haproxyText } from '../../gateway/haproxy-text.ts';
import { createGates, createHaproxyGate, forwardingOf, routesOf } from '../../gateway/parts.ts';
import { createProxy } from '../../gateway/proxy/proxy.ts';
import type { HaproxyGate } from '../../haproxy/gate.ts';
import { Haproxy } from '../../test/haproxy/haproxy.ts';
import { directWay } from '../../test/system/haproxys.ts';

const APP = 'app';
/** A loopback address of the benchmark's own, so that the ports are free. */
const ADDRESS = '127.83.0.1';
const GATE = `${ADDRESS}:8080`;
const HAPROXY_PORT = 8000;
const DRAIN_TIMEOUT_MS = 5_000;

/** Where the app is: it is held at one place and let go at the other, in turn. */
export const PLACES = [`${ADDRESS}:8081`, `${ADDRESS}:8082`] as const;

/** HAProxys in front of the gateway's own gate and proxy, which are in this process: an order can be given to them. */
export class Stage {
  readonly urls: readonly string[];
  readonly #haproxys: readonly Haproxy[];
  readonly #gates: Gates;
  readonly #gate: HaproxyGate;
  readonly #proxy: ReturnType<typeof createProxy>;

  private constructor(haproxys: readonly Haproxy[], config: ReturnType<typeof configOf>) {
    const log = pino({ level: 'silent' });
    this.#haproxys = haproxys;
    this.urls = haproxys.map((_, index) => `http://${bindOf(index)}`);
    this.#gates = createGates(config);
    const gate = createHaproxyGate(config, this.#gates, log);
    if (gate === undefined) throw new Error('there is no HAProxy in front');
    this.#gate = gate;
    this.#proxy = createProxy({
      routes: routesOf(config),
      gates: this.#gates,
      observer: { requestHeld() {}, holdEnded() {}, requestFinished() {}, requestRejected() {} },
      log,
      ...forwardingOf(config),
      timeouts: {
        headTimeoutMs: config.timeouts.clientHeadMs,
        keepAliveTimeoutMs: config.timeouts.keepAliveMs,
      },
    });
  }

  /** The app is at the first place. Whoever opens it must `close` it. */
  static async open(count: number): Promise<Stage> {
    const haproxys: Haproxy[] = [];
    while (haproxys.length < count) {
      haproxys.push(await Haproxy.create({ name: 'the HAProxy of this machine' }, haproxys[0]));
    }
    const config = configOf(haproxys);
    const stage = new Stage(haproxys, config);
    try {
      await stage.#proxy.listen(parseAddress(GATE));
      for (const [index, haproxy] of haproxys.entries()) {
        await haproxy.begin(haproxyText(config, { bind: bindOf(index), socket: haproxy.socket }));
      }
      stage.#gate.start();
      await stage.direct();
      return stage;
    } catch (error) {
      await stage.close();
      throw error;
    }
  }

  async hold(signal: AbortSignal): Promise<void> {
    await this.#gate.hold(APP, { drainTimeoutMs: DRAIN_TIMEOUT_MS, signal });
  }

  async release(place: string): Promise<void> {
    await this.#gate.release(APP, { host: place, url: `http://${place}` });
  }

  /** Settles when every HAProxy sends requests to the app itself. */
  async direct(): Promise<void> {
    for (const haproxy of this.#haproxys) await directWay(haproxy, APP);
  }

  async close(): Promise<void> {
    await this.#gate.close();
    await Promise.all(this.#haproxys.map((haproxy) => haproxy.stop()));
    await this.#proxy.close(AbortSignal.abort());
    await this.#gates.close();
  }
}

function bindOf(index: number): string {
  return `${ADDRESS}:${HAPROXY_PORT + index}`;
}

function configOf(haproxys: readonly Haproxy[]) {
  const settings = {
    listen: GATE,
    stateDir: '/nowhere',
    gate: {
      type: 'haproxy',
      sockets: haproxys.map(({ masterSocket }) => masterSocket),
      map: haproxys[0]?.map,
    },
    apps: { [APP]: { match: [{ path: '/' }], upstream: `http://${PLACES[0]}` } },
  };
  return parseGatewayConfig(stringify(settings), 'gateway.yaml');
}
