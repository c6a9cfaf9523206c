import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import type { PagerStatus } from '../../../migrator/pager/protocol.ts';
import { inLab } from '../engine/runc/fixtures/in-lab.ts';
import { app } from '../engine/runc/fixtures/lab-engine.ts';
import {
  giveCertificates,
  moveLazily,
  PagerDriver,
  processesAt,
  startAtSource,
} from './fixtures/lazy-scene.ts';

const HEAP_MIB = 48;
const containers = { app: app({ env: { HEAP_MIB: String(HEAP_MIB) } }) };
/** Takes seconds for the app's memory: whatever befalls its move befalls it in between. */
const SLOW = { rateBps: 100e6 };

await inLab(containers, ['a', 'b'], async ([a, b], lab) => {
  if (a === undefined || b === undefined) return;
  await giveCertificates([a, b]);
  const source = await startAtSource(a, HEAP_MIB);
  const { digest } = source;

  async function until(pager: PagerDriver, holds: (status: PagerStatus) => boolean): Promise<PagerStatus> {
    for (;;) {
      const status = await pager.status();
      if (holds(status)) return status;
      await sleep(20);
    }
  }

  await t.test('a link that is cut and mended costs time and nothing else', async (t) => {
    await lab.setLink(SLOW);
    const { pager, back } = await moveLazily([a, b], 'cut', 'app');
    await lab.cutLink('a');
    const asked = b.ask('/digest');
    asked.catch(() => {}); // It may take longer than anybody waits.
    const { figures } = await until(pager, (status) => status.figures.reconnects > 0);
    t.ok(figures.remainingBytes > 0, 'it was cut in the middle');
    await lab.mendLink('a');
    await lab.setLink({});
    t.equal((await pager.ended()).state, 'complete');
    t.equal((await b.ask('/digest')).digest, digest);
    await back();
    await source.goesOn(t);
  });

  await t.test('past the deadline the instance is killed, and the loss told', async (t) => {
    await lab.setLink(SLOW);
    const { pager, back } = await moveLazily([a, b], 'lost', 'app', { stallMs: 1_000 });
    await lab.cutLink('a');
    const end = await pager.ended();
    t.match(end, { state: 'failed', error: { code: 'PAGES_LOST' } });
    t.ok(end.figures.remainingBytes > 0);
    t.equal(await processesAt(b), '', 'nobody is left who could meet a missing page');
    t.equal(await b.sh('pgrep -l criu || true'), '', 'nor anybody who could answer');
    await lab.mendLink('a');
    await lab.setLink({});
    await back();
    await source.goesOn(t);
  });

  await t.test('the death of criu lazy-pages is the end of the instance', async (t) => {
    await lab.setLink(SLOW);
    const { pager, back } = await moveLazily([a, b], 'daemon', 'app');
    await b.sh('pkill -KILL -x criu');
    t.match(await pager.ended(), { state: 'failed', error: { code: 'PAGES_LOST' } });
    t.equal(await processesAt(b), '');
    await lab.setLink({});
    await back();
    await source.goesOn(t);
  });

  await t.test('the death of the pager is the end of the instance', async (t) => {
    await lab.setLink(SLOW);
    const { pager, target, back } = await moveLazily([a, b], 'pager', 'app');
    const { pid } = JSON.parse(await b.sh(`cat ${target.workDir}/pager.json`)) as { pid: number };
    await b.sh(`kill -KILL ${pid}; while pgrep -x criu >/dev/null; do sleep 0.01; done`);
    t.match(await pager.ended(), { state: 'failed', error: { code: 'PAGER_FAILED' } });
    while ((await processesAt(b)) !== '') await sleep(10);
    await lab.setLink({});
    await back();
    await source.goesOn(t);
  });

  for (const [id, whose] of Object.entries({ stillPager: 'the pager', stillDaemon: 'criu lazy-pages' })) {
    await t.test(`an instance that stands still is ended too: by the death of ${whose}`, async (t) => {
      await lab.setLink(SLOW);
      const { pager, target, back } = await moveLazily([a, b], id, 'app', { frozen: true });
      const file = `${target.workDir}/pager.json`;
      const { pid } = JSON.parse(await b.sh(`cat ${file}`)) as { pid: number };
      await b.sh(whose === 'the pager' ? `kill -KILL ${pid}` : 'pkill -KILL -x criu');
      t.equal((await pager.ended()).state, 'failed');
      while ((await processesAt(b)) !== '') await sleep(10);
      t.pass('it has ended');
      await lab.setLink({});
      await back();
      await source.goesOn(t);
    });
  }

  await t.test('a pager outlives its agent, and tells the next one', async (t) => {
    await lab.setLink(SLOW);
    const { pager, target, back } = await moveLazily([a, b], 'orphan', 'app');
    await pager.kill();
    const next = new PagerDriver(b);
    t.ok(await next.adopt(target));
    t.ok((await next.status()).figures.remainingBytes > 0);
    await lab.setLink({});
    t.equal((await next.ended()).state, 'complete');
    while (await next.adopt(target)) await sleep(10); // Its process ends by itself.
    t.equal((await next.ended()).state, 'complete', 'how it ended is on record');
    t.equal((await b.ask('/digest')).digest, digest);
    await back();
    await next.kill();
    await source.goesOn(t);
  });

  await t.test('it is stopped with the instance it serves', async (t) => {
    await lab.setLink(SLOW);
    const { pager, back } = await moveLazily([a, b], 'stopped', 'app');
    t.equal((await pager.stop()).state, 'stopped');
    t.equal(await processesAt(b), '');
    await lab.setLink({});
    await back();
    await source.goesOn(t);
  });
});
