import t from 'tap';
import { fetchesOnDemand, Strategy } from '../../migrator/events.ts';
import { parseLink } from '../lab/lab.ts';
import { whyNoLab } from '../lab/needs-lab.ts';
import { type System, startSystem } from '../system/system.ts';
import { nowMs } from '../workload/exchange.ts';
import { RemoteLoad } from '../workload/remote-load.ts';

const skip = await whyNoLab();

/** See proc_pid_stat(5). */
async function niceOfApp(system: System, host: string): Promise<string> {
  const [{ pid } = { pid: 0 }] = await system.instances();
  const signal = AbortSignal.timeout(10_000);
  const fields = await system.lab
    .host(host)
    .exec('cut', ['-d', ' ', '-f', '19', `/proc/${pid}/stat`], { signal });
  return fields.stdout.trim();
}

const moves = Object.values(Strategy).flatMap((strategy) => ['b', 'a'].map((to) => ({ to, strategy })));

t.test('an app moves to and fro under load, and nobody notices', { skip, timeout: 170_000 }, async (t) => {
  const system = await startSystem({ link: parseLink('1gbit'), app: { memoryMib: 16 } });
  let load: RemoteLoad | undefined;
  try {
    load = await RemoteLoad.start({ url: system.url, ratePerS: 200, clients: 16 });
    const windows = [];
    for (const { to, strategy } of moves) {
      const fromMs = nowMs();
      const ended = await system.migrate(to, undefined, { strategy });
      await load.flowing(10_000);
      windows.push({ fromMs, toMs: nowMs() });
      t.equal(ended.outcome, 'succeeded', `to ${to}, ${strategy}: ${ended.error?.message ?? 'as ordered'}`);
      t.match(await system.instances(), [{ host: to, status: 'running' }], 'one instance, and it runs there');
      t.equal(await niceOfApp(system, to), '0', 'with the priority it had');
      const { frozenMs = 0, holdMs = 0, totalMs, bytesSent = 0 } = ended.figures;
      const { fromSourceBytes = 0, fromStoreBytes = 0 } = ended.figures;
      const onDemand = fromSourceBytes + fromStoreBytes;
      t.ok(0 < frozenMs && frozenMs < holdMs && holdMs < totalMs, 'frozen within held within the whole');
      t.equal(onDemand > 0, fetchesOnDemand(strategy), `${onDemand} bytes came on demand`);
      t.ok(bytesSent > 1 << 20, `${bytesSent} bytes went over the link`);
    }
    const { total, faults } = await load.finish(windows);
    t.match(
      total,
      { failed: 0, lost: 0, duplicated: 0, corrupted: 0, chain: 'unbroken' },
      faults.join('\n') || 'all requests were answered, once, in one chain',
    );
    t.same(await system.leftovers(), [], 'nothing is left over on either host');
  } finally {
    await load?.stop();
    if (!t.passing()) t.comment(system.logs());
    await system.stop();
  }
});
