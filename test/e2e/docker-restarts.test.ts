import t, { type Test } from 'tap';
import { Step } from '../../migrator/events.ts';
import { whyNoLab } from '../lab/needs-lab.ts';
import { nowMs } from '../workload/exchange.ts';
import { DockerScene } from './docker-scene.ts';
import { begins } from './scene.ts';

const skip = await whyNoLab();
const POLICY = '{{.HostConfig.RestartPolicy.Name}}';
/** Docker's own way to have containers outlive dockerd. */
const LIVE_RESTORE = `mkdir -p /etc/docker; echo '{"live-restore": true}' >/etc/docker/daemon.json`;

t.test('a restart policy never gives a second instance', { skip, timeout: 178_000 }, async (t) => {
  const scene = await DockerScene.open({
    run: ['--restart', 'always'],
    prepareHost: LIVE_RESTORE,
    app: { memoryMib: 8 },
    ratePerS: 60,
  });
  const windows: { fromMs: number; toMs: number }[] = [];
  const restartDocker = async (host: string) => {
    await scene.daemon(host).kill();
    await scene.daemon(host).start({ supervise: false });
  };
  /** Move while dockerd of a host dies at a step; then see that there is one instance, and what it was. */
  const moveAndRestart = async (t: Test, at: Step, host: string) => {
    const fromMs = nowMs();
    let restarted: Promise<void> | undefined;
    const ended = await scene.move((event) => {
      if (begins(event, at)) restarted ??= restartDocker(host);
    });
    await restarted;
    await scene.load.flowing(20_000);
    windows.push({ fromMs, toMs: nowMs() });
    t.match(
      await scene.instances(),
      [{ host: scene.here, status: 'running' }],
      `one instance: ${ended.outcome}`,
    );
    t.equal(await scene.docker(scene.here, 'inspect', '-f', POLICY, 'shop'), 'always', 'with its policy');
  };
  try {
    await t.test('dockerd of the destination dies while it waits for the restore', async (t) => {
      await moveAndRestart(t, Step.hold, scene.there);
    });

    await t.test('dockerd of the source dies while the app is frozen', async (t) => {
      await moveAndRestart(t, Step.dump, scene.here);
    });

    await t.test('dockerd of a host that the app has left starts nothing', async (t) => {
      const left = scene.here;
      t.equal((await scene.move()).outcome, 'succeeded');
      await restartDocker(left);
      t.equal(await scene.docker(left, 'ps', '-aq'), '');
      t.match(await scene.instances(), [{ host: scene.here, status: 'running' }]);
    });

    await t.test('nobody has noticed anything', async (t) => {
      const { total, faults } = await scene.finish(windows);
      t.match(
        total,
        { failed: 0, lost: 0, duplicated: 0, corrupted: 0, chain: 'unbroken' },
        faults.join('\n') || 'all requests were answered, once, in one chain',
      );
      t.same(await scene.lasting(), []);
    });
  } finally {
    if (!t.passing()) t.comment(scene.system.logs(40));
    await scene.close();
  }
});
