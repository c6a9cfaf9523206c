import t, { type Test } from 'tap';
import { Outcome, Step } from '../../migrator/events.ts';
import type { MigrationRequest } from '../../migrator/orders.ts';
import { whyNoLab } from '../lab/needs-lab.ts';
import { APP } from '../system/configs.ts';
import { unwrapCriu, wrapCriu } from './criu-wrapper.ts';
import { DockerScene } from './docker-scene.ts';
import { begins, eventually } from './scene.ts';

const skip = await whyNoLab();
const POLICY = '{{.HostConfig.RestartPolicy.Name}}';
/** Docker's own way to have containers outlive dockerd. */
const LIVE_RESTORE = `mkdir -p /etc/docker; echo '{"live-restore": true}' >/etc/docker/daemon.json`;
const HOLD_MS = 14_000;

t.test('a dockerd that is away never leaves a second instance', { skip, timeout: 170_000 }, async (t) => {
  const scene = await DockerScene.open({
    run: ['--restart', 'always'],
    prepareHost: LIVE_RESTORE,
    app: { memoryMib: 8 },
    ratePerS: 60,
    gateway: ({ apps: { [APP]: app } }) => Object.assign(app ?? {}, { hold: { maxMs: HOLD_MS } }),
  });
  /** What runc has on record of processes that were killed goes with Docker's own record, when Docker is back. */
  const oneInstance = async (t: Test) => {
    const alive = (await scene.instances()).filter(({ status }) => status !== 'stopped');
    t.match(alive, [{ host: scene.here, status: 'running' }], 'one instance, where it was');
    t.equal(alive.length, 1, 'and no other');
  };
  /** Move while something happens to a dockerd at a step, and see before it is over what there is of the app. */
  const moveMeanwhile = async (
    t: Test,
    at: Step,
    strike: () => Promise<unknown>,
    order: Omit<MigrationRequest, 'app' | 'to'> = {},
  ) => {
    let struck: Promise<unknown> | undefined;
    const ended = await scene.move(async (event) => {
      if (!begins(event, at)) return;
      struck ??= strike();
      await struck;
    }, order);
    t.equal(ended.outcome, Outcome.rolledBack, ended.error?.message ?? 'no error');
    await oneInstance(t);
    await scene.load.flowing(20_000);
  };
  const policy = () => scene.docker(scene.here, 'inspect', '-f', POLICY, APP);
  try {
    await t.test('the one of the destination dies when the instance is there', async (t) => {
      await moveMeanwhile(t, Step.verify, () => scene.daemon(scene.there).kill(), { verify: true });
      await scene.daemon(scene.there).start({ supervise: false });
      t.same(await scene.lasting(), [], 'and what Docker has of it goes when it is back');
    });

    await t.test('the one of the destination hangs in the middle of the restore', async (t) => {
      await moveMeanwhile(t, Step.hold, () => scene.sh(scene.there, 'pkill -STOP -x dockerd'));
      await scene.sh(scene.there, 'pkill -CONT -x dockerd');
      t.same(await scene.lasting(), [], 'and it goes on with nothing of it');
      await oneInstance(t);
    });

    await t.test('the one of the source is away when the app has gone back', async (t) => {
      await wrapCriu(scene, scene.there, '[ "$1" != swrk ] || exit 1');
      await moveMeanwhile(t, Step.dump, () => scene.daemon(scene.here).kill());
      await unwrapCriu(scene, scene.there);
      await scene.daemon(scene.here).start({ supervise: false });
      await eventually('its restart policy', async () => (await policy()) === 'always');
      t.same(await scene.lasting(), []);
    });

    await t.test('then the app moves as ever', async (t) => {
      const ended = await scene.move();
      t.equal(ended.outcome, Outcome.succeeded, ended.error?.message ?? 'no error');
      await eventually('its restart policy', async () => (await policy()) === 'always');
      const { total, faults } = await scene.finish([]);
      t.match(
        total,
        { lost: 0, duplicated: 0, corrupted: 0, chain: 'unbroken' },
        faults.join('\n') || 'all was carried out once, in one chain',
      );
    });
  } finally {
    if (!t.passing()) t.comment(scene.system.logs(60));
    await scene.close();
  }
});
