import { setTimeout as delay } from 'node:timers/promises';
import t from 'tap';
import { nowMs } from './exchange.ts';
import { startLocalApp } from './local-app.ts';
import { RemoteLoad } from './remote-load.ts';

t.test('a load in its own process reports each window and the whole', async (t) => {
  const app = await startLocalApp();
  let load: RemoteLoad | undefined;
  try {
    load = await RemoteLoad.start({ url: app.url, ratePerS: 300, clients: 4 });
    const fromMs = nowMs();
    await delay(300);
    const toMs = nowMs();
    await load.flowing(5_000);
    const report = await load.finish([{ fromMs, toMs }]);
    t.match(report.total, { failed: 0, lost: 0, duplicated: 0, corrupted: 0, chain: 'unbroken' });
    t.match(report.windows, [{ failed: 0, lost: 0, duplicated: 0 }]);
    const due = Math.floor(((toMs - fromMs) / 1000) * 300);
    t.ok(Math.abs((report.windows[0]?.requests ?? 0) - due) <= 1, `${due} were due, and all were made`);
  } finally {
    await load?.stop();
    await app[Symbol.asyncDispose]();
  }
});

t.test('when the app loses its memory, the load tells how much', async (t) => {
  const first = await startLocalApp();
  const port = new URL(first.url).port;
  let load: RemoteLoad | undefined;
  let second: typeof first | undefined;
  try {
    load = await RemoteLoad.start({ url: first.url, ratePerS: 200, clients: 4 });
    await delay(200);
    await first[Symbol.asyncDispose]();
    second = await startLocalApp({ PORT: port });
    await load.flowing(5_000);
    const { total, reasons } = await load.finish([]);
    t.ok(total.lost > 20, `${total.lost} answered requests are not known any more`);
    t.ok(total.failed > 0, 'and some failed while nobody listened');
    t.ok(Object.keys(reasons).some((reason) => reason.startsWith('ECONN')));
  } finally {
    await load?.stop();
    await first[Symbol.asyncDispose]();
    await second?.[Symbol.asyncDispose]();
  }
});

t.test('no app, no load: an error within the time given', async (t) => {
  await t.rejects(RemoteLoad.start({ url: 'http://127.0.0.1:9', ratePerS: 100, clients: 1 }, 1_000));
});
