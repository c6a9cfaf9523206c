import t from 'tap';
import { fetchesOnDemand, Strategy } from '../../migrator/events.ts';
import { APP_COMMAND } from '../lab/docker-image.ts';
import { whyNoLab } from '../lab/needs-lab.ts';
import { nowMs } from '../workload/exchange.ts';
import { DockerScene } from './docker-scene.ts';

const skip = await whyNoLab();

/** Numbers written one after the other, to new directories all the while, in the container's own files and on a volume. */
const WRITING = `n=0
while :; do
  n=$((n + 1)) dir=$((n / 20))
  for top in /late /data; do mkdir -p $top/$dir; echo $n >>$top/$dir/log; done
  sleep 0.05
done`;
const READ = (top: string) => `cat ${top}/*/log | sort -n`;

t.test(
  'a Docker container moves to and fro under load, with its files',
  { skip, timeout: 175_000 },
  async (t) => {
    const run = [
      '--restart',
      'unless-stopped',
      '--volume',
      'data:/data',
      '--hostname',
      'shop.example',
      '--cgroupns',
      'private',
    ];
    const command = ['sh', '-c', `(${WRITING}) & exec ${APP_COMMAND.join(' ')}`];
    const scene = await DockerScene.open({ run, command, app: { memoryMib: 16 } });
    try {
      const inside = (script: string) => scene.docker(scene.here, 'exec', 'shop', 'sh', '-c', script);
      const windows = [];
      await inside('rm /etc/passwd-');
      for (const strategy of Object.values(Strategy)) {
        const fromMs = nowMs();
        const ended = await scene.move(() => {}, { strategy });
        await scene.load.flowing(10_000);
        windows.push({ fromMs, toMs: nowMs() });
        t.equal(ended.outcome, 'succeeded', `${strategy}: ${ended.error?.message ?? 'as ordered'}`);
        const { here } = scene;
        t.match(
          await scene.instances(),
          [{ host: here, status: 'running' }],
          'one instance, and it runs there',
        );
        t.notMatch(await inside('cat /proc/1/cgroup'), /docker/, 'in a cgroup namespace of its own');
        const { frozenMs = 0, holdMs = 0, totalMs } = ended.figures;
        const { fromSourceBytes = 0, fromStoreBytes = 0 } = ended.figures;
        const onDemand = fromSourceBytes + fromStoreBytes;
        t.ok(0 < frozenMs && frozenMs < holdMs && holdMs < totalMs, 'frozen within held within the whole');
        t.equal(onDemand > 0, fetchesOnDemand(strategy), `${onDemand} bytes came on demand`);
        for (const top of ['/late', '/data']) {
          const numbers = (await inside(READ(top))).split('\n').map(Number);
          const wrong = numbers.find((number, nth) => number !== nth + 1);
          t.equal(wrong, undefined, `all that was written to ${top} is there, ${numbers.length} lines`);
        }
        t.equal(await inside('test -e /etc/passwd- || echo deleted; hostname'), 'deleted\nshop.example');
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
      await scene.docker(scene.here, 'restart', '--time', '1', 'shop');
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
