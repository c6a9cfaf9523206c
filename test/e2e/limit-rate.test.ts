import t from 'tap';
import type { MigrationEvent, Step } from '../../migrator/events.ts';
import { whyNoLab } from '../lab/needs-lab.ts';
import { DockerScene } from './docker-scene.ts';

const skip = await whyNoLab();
const ORDERED_MBIT = 120;
const HOST_MBIT = 80;
/** TCP and IP add some 4 % to what is counted, the hosts' other traffic a little; a limit may be overdrawn for some 25 ms. */
const TOLERANCE = 1.1;
const OVERDRAWN_BYTES = 1 << 20;

t.test(
  'a move keeps to the rate it was ordered with, and to that of its host',
  { skip, timeout: 175_000 },
  async (t) => {
    const scene = await DockerScene.open({
      ratePerS: 40,
      run: ['--volume', 'data:/data', '--env', 'MEMORY_KIND=random'],
      app: { memoryMib: 24 },
      agent(settings, host) {
        if (host === 'b') settings.limitRate = `${HOST_MBIT}mbit`;
      },
    });
    t.teardown(async () => {
      if (!t.passing()) t.comment(scene.system.logs(40));
      await scene.close();
    });
    const inside = (script: string) => scene.docker(scene.here, 'exec', 'shop', 'sh', '-c', script);
    const fill = (name: string) =>
      inside(`head -c 12M /dev/urandom >/data/${name} && sha256sum /data/${name}`);

    for (const { limitMbit, limitRateBps } of [
      { limitMbit: ORDERED_MBIT, limitRateBps: ORDERED_MBIT * 1e6 },
      { limitMbit: HOST_MBIT, limitRateBps: undefined },
      { limitMbit: HOST_MBIT, limitRateBps: 10e9 },
    ]) {
      // The next one is the move that the host's own limit is for.
      if (limitMbit === HOST_MBIT && scene.here === 'a') {
        const back = await scene.move();
        t.equal(back.outcome, 'succeeded', back.error?.message ?? 'and back without a limit');
      }
      const name = `at-${limitRateBps ?? 'the-hosts'}`;
      const summed = await fill(name);
      const { there } = scene;
      const marks: { at: number; bytes: number; step: Step }[] = [];
      const events: MigrationEvent[] = [];
      const ended = await scene.move(
        async (event) => {
          events.push(event);
          if (event.type !== 'step-finished') return;
          marks.push({ at: performance.now(), bytes: await scene.receivedBytes(there), step: event.step });
        },
        limitRateBps === undefined ? {} : { limitRateBps },
      );
      t.equal(ended.outcome, 'succeeded', ended.error?.message ?? `at ${limitMbit} Mbit/s`);
      t.equal(await inside(`sha256sum /data/${name}`), summed, 'its files are there');
      const [started] = events.filter((event) => event.type === 'started');
      t.equal(started?.limitRateBps, limitRateBps, 'the journal has what was ordered');
      const [planned] = events.filter((event) => event.type === 'planned');
      t.ok((planned?.measured.rateBps ?? Infinity) <= limitMbit * 1e6, 'the planner counts with the limit');
      const at = (step: Step) => marks.find((mark) => mark.step === step);
      for (const [from, to] of [
        ['prepare', 'bring'],
        ['prepare', 'send'],
      ] as const) {
        const [first, last] = [at(from), at(to)];
        const ms = (last?.at ?? 0) - (first?.at ?? 0);
        const bytes = (last?.bytes ?? 0) - (first?.bytes ?? 0);
        const mostBytes = (ms * limitMbit * 1e6) / 8_000;
        t.ok(bytes > 10e6, `from ${from} to ${to} ${bytes} bytes went over`);
        t.ok(
          bytes < mostBytes * TOLERANCE + OVERDRAWN_BYTES,
          `at ${((bytes * 8) / ms / 1_000).toFixed(0)} of ${limitMbit} Mbit/s`,
        );
      }
    }
    const { total, faults } = await scene.finish([]);
    t.match(
      total,
      { failed: 0, lost: 0, duplicated: 0, chain: 'unbroken' },
      faults.join('\n') || 'nobody noticed',
    );
  },
);
