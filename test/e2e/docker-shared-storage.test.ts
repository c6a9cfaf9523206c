import t from 'tap';
import { APP_COMMAND } from '../lab/docker-image.ts';
import { whyNoLab } from '../lab/needs-lab.ts';
import { DockerScene } from './docker-scene.ts';
import { eventually } from './scene.ts';

const skip = await whyNoLab();
/** At the first host a part of what both have, at the second at first a directory of its own. */
const MOUNT = 'mount --bind /srv/shared/ledger /srv/ledger';
const PREPARE = `mkdir -p /srv/ledger /srv/shared/ledger; [ "$(hostname)" = b ] || ${MOUNT}`;
/** Numbers written one after the other. */
const WRITING = 'n=0; while :; do n=$((n + 1)); echo $n >>/ledger/log; sleep 0.02; done';
const BIG_BYTES = 16 << 20;

t.test(
  'storage that both hosts share is proven, not copied, and goes on being written to',
  { skip, timeout: 175_000 },
  async (t) => {
    const scene = await DockerScene.open({
      ratePerS: 60,
      prepareHost: PREPARE,
      run: ['--volume', '/srv/ledger:/ledger'],
      command: ['sh', '-c', `(${WRITING}) & exec ${APP_COMMAND.join(' ')}`],
      app: { memoryMib: 8 },
      agent({ containers: { shop = {} } }) {
        shop.storage = { '/ledger': 'shared' };
      },
    });
    t.teardown(async () => {
      if (!t.passing()) t.comment(scene.system.logs(40));
      await scene.close();
    });
    const inside = (script: string) => scene.docker(scene.here, 'exec', 'shop', 'sh', '-c', script);
    await inside(`head -c ${BIG_BYTES} /dev/urandom >/ledger/big`);

    const refused = await scene.move();
    t.match(refused, { outcome: 'refused', error: { code: 'FILES_NOT_SHARED' } });
    t.match(
      refused.error?.message ?? '',
      /^\/srv\/ledger is to be storage that both hosts share, and is not/,
    );
    t.match(await scene.instances(), [{ host: 'a', status: 'running' }], 'nothing was touched');
    t.equal(await scene.sh('b', 'ls -A /srv/ledger'), '');

    await scene.sh('b', MOUNT);
    for (const strategy of ['pre-copy', 'hybrid'] as const) {
      const ended = await scene.move(() => {}, { strategy });
      t.equal(ended.outcome, 'succeeded', ended.error?.message ?? `by ${strategy}`);
      t.ok(
        (ended.figures.fileBytes ?? 0) < BIG_BYTES / 4,
        `${ended.figures.fileBytes} bytes of files went over`,
      );
      const lines = Number(await inside('wc -l </ledger/log'));
      await inside(`until [ "$(wc -l </ledger/log)" -gt ${lines + 5} ]; do sleep 0.02; done`);
      const numbers = (await inside('cat /ledger/log')).split('\n').map(Number);
      const wrong = numbers.find((number, nth) => number !== nth + 1);
      t.equal(wrong, undefined, `all ${numbers.length} lines are there, each once, and there are more`);
    }
    await eventually(
      'no probe to be left',
      async () => (await scene.sh('a', 'ls -A /srv/shared/ledger')) === 'big\nlog',
    );
    const { total, faults } = await scene.finish([]);
    t.match(
      total,
      { failed: 0, lost: 0, duplicated: 0, chain: 'unbroken' },
      faults.join('\n') || 'nobody noticed',
    );
    t.same(await scene.lasting(), [], 'nothing is left over on either host');
  },
);
