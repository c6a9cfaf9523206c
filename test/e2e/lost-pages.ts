import t, { type Test } from 'tap';
import { type MigrationEvent, Outcome, Step, Strategy } from '../../migrator/events.ts';
import { whyNoLab } from '../lab/needs-lab.ts';
import type { EndedEvent } from '../system/admin.ts';
import { APP } from '../system/configs.ts';
import { lingering, whilePaging } from './paging-faults.ts';
import { begins, Scene } from './scene.ts';

const FLOWING_TIMEOUT_MS = 20_000;

/**
 * Move, and let something befall the source, or the link to it, once the app lives of both hosts.
 *
 * @param unserved called when users are kept waiting no more, although the source does not answer
 */
async function moveAndLose(
  scene: Scene,
  strategy: Strategy,
  lose: (scene: Scene) => Promise<void>,
  unserved: () => Promise<void> = async () => {},
): Promise<{ ended: EndedEvent; events: readonly MigrationEvent[] }> {
  const { before, strike } = lingering();
  let isUnserved = false;
  const strikes = [...strike, whilePaging(lose)];
  await before(scene);
  let all: readonly MigrationEvent[] = [];
  const ended = await scene.move(
    async (event, underWay) => {
      all = underWay.events;
      for (const { at, make } of strikes) if (begins(event, at)) await make(scene, underWay);
      if (isUnserved || event.type !== 'undo-finished' || event.step !== Step.hold) return;
      isUnserved = true;
      await unserved();
    },
    { strategy },
  );
  await scene.fast(scene.here);
  return { ended, events: all };
}

/** The app goes on at the source, alone, and the journal tells what was lost. */
async function assertSetBack(
  t: Test,
  scene: Scene,
  { ended, events }: { ended: EndedEvent; events: readonly MigrationEvent[] },
): Promise<void> {
  t.equal(ended.outcome, Outcome.setBack, ended.error?.message ?? 'no error');
  t.equal(ended.error?.code, 'PAGES_LOST');
  const lost = events.find((event) => event.type === 'pages-lost');
  t.match(lost, { error: { code: 'PAGES_LOST' }, since: /^\d{4}-/, requests: Number });
  await scene.load.flowing(FLOWING_TIMEOUT_MS);
  t.same(await scene.lasting(), [], 'nothing is left over on either host');
  const instances = await scene.instances();
  t.match(instances, [{ host: scene.here, status: 'running' }], 'it runs at the source');
  t.equal(instances.length, 1, 'and nowhere else');
  const further = await scene.move(() => {}, { strategy: Strategy.preCopy });
  t.equal(further.outcome, Outcome.succeeded, further.error?.message ?? 'a further move is made');
}

/** Nothing is left, which is said, and the app can be started anew on a host. */
async function assertLost(
  t: Test,
  scene: Scene,
  { ended, events }: { ended: EndedEvent; events: readonly MigrationEvent[] },
  host: string,
): Promise<void> {
  t.match(ended, { outcome: Outcome.lost, error: { code: 'INSTANCE_LOST' } });
  t.ok(
    events.some(({ type }) => type === 'pages-lost'),
    'what was lost is told',
  );
  await scene.system.startApp(host);
  scene.here = host;
  await scene.load.flowing(FLOWING_TIMEOUT_MS);
  const alive = (await scene.instances()).filter(({ status }) => status !== 'stopped');
  t.match(alive, [{ host, status: 'running' }], 'started anew, it runs');
  t.equal(alive.length, 1, 'and nowhere else');
}

/** The agent of the source and what is frozen there are killed, as when its host fails. */
async function killSource(scene: Scene): Promise<void> {
  await scene.system.agent(scene.here).kill({ restart: false });
  await scene.killApp(scene.here);
}

interface Loss {
  readonly name: string;
  readonly befall: (t: Test, scene: Scene, strategy: Strategy) => Promise<void>;
}

/** What may be lost, and what becomes of the app. */
export const Loss = {
  link: {
    name: 'the link cut beyond the deadline: the app goes on at the source',
    async befall(t, scene, strategy) {
      const lost = await moveAndLose(scene, strategy, () => scene.part()).finally(() => scene.rejoin());
      await assertSetBack(t, scene, lost);
    },
  },
  daemon: {
    name: 'CRIU’s daemon killed: the app goes on at the source',
    async befall(t, scene, strategy) {
      const kill = () => scene.sh(scene.there, 'pkill -9 -f "^criu lazy-pages"').then(() => {});
      await assertSetBack(t, scene, await moveAndLose(scene, strategy, kill));
    },
  },
  frozen: {
    name: 'what is frozen killed: nothing is left, and it is started anew',
    async befall(t, scene, strategy) {
      const { here } = scene;
      const lost = await moveAndLose(scene, strategy, () => scene.killApp(here));
      await assertLost(t, scene, lost, here);
      t.same(await scene.lasting(), [], 'nothing is left over on either host');
    },
  },
  host: {
    name: 'the host of the source failed and started again: nothing is left, and it is started anew',
    async befall(t, scene, strategy) {
      const { here, system } = scene;
      const lost = await moveAndLose(scene, strategy, killSource, async () => {
        t.equal(await statusOf(system.url), 502, 'nobody is kept waiting for it');
        await system.agent(here).start({ supervise: true });
      });
      await assertLost(t, scene, lost, here);
      await scene.killGateway();
      t.equal(await statusOf(system.url), 200, 'a gateway that is started again serves it');
      t.same(await scene.lasting(), [], 'nothing is left over on either host');
    },
  },
  /** Nothing can be tried after it. */
  hostForGood: {
    name: 'the host of the source gone for good: taken out of the configuration, the app is started anew elsewhere',
    async befall(t, scene, strategy) {
      const { here, there } = scene;
      const lost = await moveAndLose(scene, strategy, killSource, async () => {
        const start = scene.system.startApp(there);
        await t.rejects(start, { code: 'MIGRATION_UNDER_WAY' }, 'it may come back with the app');
        await scene.forgetHost(here);
      });
      await assertLost(t, scene, lost, there);
    },
  },
} as const satisfies Record<string, Loss>;

/** What becomes of an app whose memory cannot be had any more. */
export async function losePages(strategy: Strategy, losses: readonly Loss[]): Promise<void> {
  const skip = await whyNoLab();
  const title = `${strategy}, and memory that cannot be had any more`;
  await t.test(title, { skip, timeout: 175_000 }, async (t) => {
    const scene = await Scene.open({
      app: { memoryMib: 48 },
      agent: (settings) => Object.assign(settings, { pagesStallMs: 2_000 }),
      // So long is a source waited for before users are told.
      gateway: ({ apps: { [APP]: app } }) => Object.assign(app ?? {}, { hold: { maxMs: 10_000 } }),
    });
    try {
      for (const { name, befall } of losses) {
        await t.test(name, (t) => befall(t, scene, strategy));
        if (!t.passing()) return;
      }
    } finally {
      if (!t.passing()) t.comment(scene.system.logs(60));
      await scene.close();
    }
  });
}

async function statusOf(url: string): Promise<number> {
  const response = await fetch(`${url}/health`, { signal: AbortSignal.timeout(FLOWING_TIMEOUT_MS) });
  await response.body?.cancel();
  return response.status;
}
