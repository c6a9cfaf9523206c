import type { GateType } from '../../gateway/config/schema.ts';
import { Outcome } from '../../migrator/events.ts';
import { createLab, type Lab, type LabHost, type Link } from '../../test/lab/lab.ts';
import { APP_PORT, FRONT_PORT } from '../../test/system/configs.ts';
import { startSystem } from '../../test/system/system.ts';
import { frontsOf } from '../fronts.ts';
import { type Hand, moveByHand } from '../plain/hand.ts';
import { LinkMeter } from '../plain/link-meter.ts';
import { runcByHand, stopApp } from '../plain/runc.ts';
import { Switch } from '../plain/switch.ts';

/** The app on host a, reachable at `url`, ready to be moved to host b. */
export interface Stage {
  readonly url: string;
  /** Settles when the app answers at its new place. */
  move(): Promise<void>;
  /** Bytes that have gone between the two hosts. */
  bytes(): Promise<number>;
  stop(): Promise<void>;
}

export interface StageOptions {
  readonly link: Link;
  readonly memoryMib: number;
  readonly signal: AbortSignal;
}

export interface Approach {
  readonly key: string;
  readonly title: string;
  readonly what: string;
  /** Of Holdfast's own; absent where it has no part. */
  readonly gate?: GateType;
  setUp(options: StageOptions): Promise<Stage>;
}

export const approaches: readonly Approach[] = [
  {
    key: 'restart',
    title: '(a) stop and start',
    what: 'the app is stopped, started on the other host with empty memory, and the front is switched when it answers',
    setUp: (options) =>
      byHand(options, 0, async (hand, a, b) => {
        await stopApp(a, options.signal);
        await hand.start(b);
      }),
  },
  {
    key: 'checkpoint',
    title: '(b) runc checkpoint',
    what: 'runc checkpoint, tar over the link, runc restore, and the front is switched when it answers',
    setUp: (options) => byHand(options, options.memoryMib, moveByHand),
  },
  {
    key: 'holdfast',
    title: '(c) Holdfast',
    what: 'gateway migrate',
    gate: 'built-in',
    setUp: (options) => byHoldfast(options, 'built-in'),
  },
  {
    key: 'holdfast-haproxy',
    title: '(d) Holdfast, HAProxy in front',
    what: 'gateway migrate, while users come in by HAProxy',
    gate: 'haproxy',
    setUp: (options) => byHoldfast(options, 'haproxy'),
  },
];

async function byHoldfast({ link, memoryMib, signal }: StageOptions, gate: GateType): Promise<Stage> {
  const haproxys = await frontsOf(gate, () => {}, signal);
  const system = await startSystem({ link, app: { memoryMib }, haproxys, signal });
  try {
    const meter = await meterOf(system.lab);
    return {
      url: system.url,
      async move() {
        const { outcome, error } = await system.migrate('b');
        if (outcome !== Outcome.succeeded) {
          throw new Error(`${outcome}: ${error?.message}\n${system.logs()}`);
        }
      },
      bytes: () => meter.bytes(),
      stop: () => system.stop(),
    };
  } catch (error) {
    await system.stop();
    throw error;
  }
}

/** The app started with runc alone, behind a front without a gate. `memoryMib` is what it has when it comes up on b. */
async function byHand(
  options: StageOptions,
  memoryMib: number,
  move: (hand: Hand, a: LabHost, b: LabHost) => Promise<void>,
): Promise<Stage> {
  const lab = await createLab({ link: options.link, signal: options.signal });
  let front: Switch | undefined;
  const stop = async () => {
    front?.close();
    await lab.down();
  };
  try {
    const [a, b] = [lab.host('a'), lab.host('b')];
    const hand = runcByHand(options.signal);
    await hand.makeReady(a, { memoryMib: options.memoryMib });
    await hand.makeReady(b, { memoryMib });
    await hand.start(a);
    const meter = await meterOf(lab);
    const listen = { host: lab.gatewayAddress, port: FRONT_PORT };
    front = await Switch.listen(listen, { host: a.address, port: APP_PORT });
    return {
      url: `http://${listen.host}:${listen.port}`,
      async move() {
        await move(hand, a, b);
        front?.flip({ host: b.address, port: APP_PORT });
      },
      bytes: () => meter.bytes(),
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

function meterOf(lab: Lab): Promise<LinkMeter> {
  return LinkMeter.between(lab.host('a'), lab.host('b'));
}
