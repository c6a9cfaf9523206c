import t from 'tap';
import { fetchesOnDemand, Strategy } from '../../migrator/events.ts';
import { whyNoLab } from '../lab/needs-lab.ts';
import { nowMs } from '../workload/exchange.ts';
import { DockerScene } from './docker-scene.ts';

const skip = await whyNoLab();

t.test(
  'a Docker container moves to and fro under load, with its files',
  { skip, timeout: 175_000 },
  async (t) => {
    const run = ['--restart', 'unless-stopped', '--volume', 'data:/data', '--hostname', 'shop.example'];
    const scene = await DockerScene.open({ run, app: { memoryMib: 16 } });
    try {
      const windows = [];
      await scene.docker(
        'a',
        'exec',
        'shop',
        'sh',
        '-c',
        'echo 0 >/written; echo 0 >/data/kept; rm /etc/motd || true',
      );
      for (const [index, strategy] of Object.values(Strategy).entries()) {
        const fromMs = nowMs();
        const ended = await scene.move(() => {}, { strategy, verify: index % 2 === 1 });
        await scene.load.flowing(10_000);
        windows.push({ fromMs, toMs: nowMs() });
        t.equal(ended.outcome, 'succeeded', `${strategy}: ${ended.error?.message ?? 'as ordered'}`);
        const { here } = scene;
        t.match(
          await scene.instances(),
          [{ host: here, status: 'running' }],
          'one instance, and it runs there',
        );
        const { frozenMs = 0, holdMs = 0, totalMs, fromSourceBytes = 0 } = ended.figures;
        t.ok(0 < frozenMs && frozenMs < holdMs && holdMs < totalMs, 'frozen within held within the whole');
        t.equal(fromSourceBytes > 0, fetchesOnDemand(strategy), `${fromSourceBytes} bytes came on demand`);
        const files = 'cat /written /data/kept; test -e /etc/motd || echo deleted; hostname';
        t.equal(
          await scene.docker(here, 'exec', 'shop', 'sh', '-c', files),
          `${index}\n${index}\ndeleted\nshop.example`,
        );
        const further = `echo ${index + 1} >/written; echo ${index + 1} >/data/kept`;
        await scene.docker(here, 'exec', 'shop', 'sh', '-c', further);
        const told = '{{.HostConfig.RestartPolicy.Name}} {{.State.Status}}';
        t.equal(await scene.docker(here, 'inspect', '-f', told, 'shop'), 'unless-stopped running');
      }
      const { total, faults } = await scene.finish(windows);
      t.match(
        total,
        { failed: 0, lost: 0, duplicated: 0, corrupted: 0, chain: 'unbroken' },
        faults.join('\n') || 'all requests were answered, once, in one chain',
      );
      t.same(await scene.lasting(), [], 'nothing is left over on either host');
      await scene.docker(scene.here, 'restart', 'shop');
      t.match(
        await scene.instances(),
        [{ host: scene.here, status: 'running' }],
        'Docker restarts it as any other',
      );
    } finally {
      if (!t.passing()) t.comment(scene.system.logs(40));
      await scene.close();
    }
  },
);
