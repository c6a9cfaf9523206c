import { Outcome } from '../../migrator/events.ts';
import { createLab, type Lab, type Link } from '../../test/lab/lab.ts';
import { APP_PORT, FRONT_PORT } from '../../test/system/configs.ts';
import { startSystem } from '../../test/system/system.ts';
import { checkpoint, copyImages, makeBundle, restore, startApp, stopApp } from './runc.ts';
import { Switch } from './switch.ts';

/** The app on host a, reachable at `url`, ready to be moved to host b. */
export interface Stage {
  readonly url: string;
  /** @returns bytes that went over the link, where known */
  move(): Promise<number | null>;
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
  setUp(options: StageOptions): Promise<Stage>;
}

export const approaches: readonly Approach[] = [
  {
    key: 'restart',
    title: '(a) stop and start',
    what: 'the app is stopped, started on the other host with empty memory, and the front is switched when it answers',
    setUp: (options) =>
      byHand(options, async ({ a, b, flip }) => {
        await makeBundle(b, 0);
        return async () => {
          await stopApp(a);
          await startApp(b);
          flip();
          return null;
        };
      }),
  },
  {
    key: 'checkpoint',
    title: '(b) runc checkpoint',
    what: 'runc checkpoint, tar over the link, runc restore, and the front is switched when it answers',
    setUp: (options) =>
      byHand(options, async ({ a, b, flip }) => {
        await makeBundle(b, options.memoryMib);
        return async () => {
          const sizeBytes = await checkpoint(a);
          await copyImages(a, b);
          await restore(b);
          flip();
          return sizeBytes;
        };
      }),
  },
  {
    key: 'holdfast',
    title: '(c) Holdfast',
    what: 'gateway migrate',
    async setUp({ link, memoryMib, signal }) {
      const system = await startSystem({ link, app: { memoryMib }, signal });
      return {
        url: system.url,
        async move() {
          const { outcome, figures, error } = await system.migrate('b');
          if (outcome !== Outcome.succeeded) {
            throw new Error(`${outcome}: ${error?.message}\n${system.logs()}`);
          }
          return figures.bytesSent ?? null;
        },
        stop: () => system.stop(),
      };
    },
  },
];

type ByHand = { a: LabHostOf; b: LabHostOf; flip: () => void };
type LabHostOf = ReturnType<Lab['host']>;

/** The app started with runc alone, behind a front without a gate. */
async function byHand(
  options: StageOptions,
  prepare: (hands: ByHand) => Promise<Stage['move']>,
): Promise<Stage> {
  const lab = await createLab({ link: options.link, signal: options.signal });
  let front: Switch | undefined;
  const stop = async () => {
    front?.close();
    await lab.down();
  };
  try {
    const [a, b] = [lab.host('a'), lab.host('b')];
    await makeBundle(a, options.memoryMib);
    await startApp(a);
    const listen = { host: lab.gatewayAddress, port: FRONT_PORT };
    front = await Switch.listen(listen, { host: a.address, port: APP_PORT });
    const flip = () => front?.flip({ host: b.address, port: APP_PORT });
    return { url: `http://${listen.host}:${listen.port}`, move: await prepare({ a, b, flip }), stop };
  } catch (error) {
    await stop();
    throw error;
  }
}
