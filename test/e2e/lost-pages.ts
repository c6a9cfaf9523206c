import t, { type Test } from 'tap';
import { type MigrationEvent, Outcome, Strategy } from '../../migrator/events.ts';
import { whyNoLab } from '../lab/needs-lab.ts';
import type { EndedEvent } from '../system/admin.ts';
import { slowly, whilePaging } from './paging-faults.ts';
import { begins, Scene } from './scene.ts';

const FLOWING_TIMEOUT_MS = 20_000;

/** Move, and let something befall the source, or the link to it, once the app lives of both hosts. */
async function moveAndLose(
  scene: Scene,
  strategy: Strategy,
  lose: (scene: Scene) => Promise<void>,
): Promise<{ ended: EndedEvent; events: readonly MigrationEvent[] }> {
  const strikes = [slowly(strategy), whilePaging(lose)];
  let all: readonly MigrationEvent[] = [];
  const ended = await scene.move(
    async (event, underWay) => {
      all = underWay.events;
      for (const { at, make } of strikes) if (begins(event, at)) await make(scene, underWay);
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

/** What becomes of an app whose memory cannot be had any more. */
export async function losePages(strategy: Strategy): Promise<void> {
  const skip = await whyNoLab();
  await t.test(
    `${strategy}, and memory that cannot be had any more`,
    { skip, timeout: 175_000 },
    async (t) => {
      const scene = await Scene.open({
        app: { memoryMib: 48 },
        agent: (settings) => Object.assign(settings, { pagesStallMs: 2_000 }),
      });
      try {
        await t.test('the link cut beyond the deadline: the app goes on at the source', async (t) => {
          const cut = () => scene.part();
          await assertSetBack(
            t,
            scene,
            await moveAndLose(scene, strategy, cut).finally(() => scene.rejoin()),
          );
        });
        if (!t.passing()) return;
        await t.test('CRIU’s daemon killed: the app goes on at the source', async (t) => {
          const kill = () => scene.sh(scene.there, 'pkill -9 -f "^criu lazy-pages"').then(() => {});
          await assertSetBack(t, scene, await moveAndLose(scene, strategy, kill));
        });
      } finally {
        if (!t.passing()) t.comment(scene.system.logs(60));
        await scene.close();
      }
    },
  );
}
