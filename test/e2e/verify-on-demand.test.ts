import t from 'tap';
import { fetchesOnDemand, Step, Strategy } from '../../migrator/events.ts';
import { parseLink } from '../lab/lab.ts';
import { whyNoLab } from '../lab/needs-lab.ts';
import { startSystem } from '../system/system.ts';
import { nowMs } from '../workload/exchange.ts';
import { RemoteLoad } from '../workload/remote-load.ts';

const MEMORY_MIB = 32;
const skip = await whyNoLab();

const moves = Object.values(Strategy)
  .filter(fetchesOnDemand)
  .flatMap((strategy) => ['b', 'a'].map((to) => ({ to, strategy })));

t.test('memory that is fetched on demand is verified under load', { skip, timeout: 170_000 }, async (t) => {
  const system = await startSystem({ link: parseLink('1gbit'), app: { memoryMib: MEMORY_MIB } });
  let load: RemoteLoad | undefined;
  try {
    load = await RemoteLoad.start({ url: system.url, ratePerS: 120, clients: 16 });
    const windows = [];
    for (const { to, strategy } of moves) {
      const fromMs = nowMs();
      const steps: Step[] = [];
      const note = (event: { type: string; step?: Step }) => {
        if (event.type === 'step-finished' && event.step) steps.push(event.step);
      };
      const ended = await system.migrate(to, note, { strategy, verify: true });
      await load.flowing(10_000);
      windows.push({ fromMs, toMs: nowMs() });
      t.equal(ended.outcome, 'succeeded', `to ${to}, ${strategy}: ${ended.error?.message ?? 'as ordered'}`);
      t.same(
        steps.slice(steps.indexOf(Step.restore)),
        [
          ...[Step.restore, Step.pageIn, Step.verify, Step.healthCheck, Step.commit],
          ...[Step.release, Step.cleanup],
        ],
        'all of its memory was there before it was compared, and nothing had to follow',
      );
      const { verifiedBytes = 0, pageInMs = 0, frozenMs = 0 } = ended.figures;
      const { fromSourceBytes = 0, fromStoreBytes = 0 } = ended.figures;
      t.ok(verifiedBytes > MEMORY_MIB << 20, `${verifiedBytes} bytes were compared`);
      const onDemand = fromSourceBytes + fromStoreBytes;
      t.ok(onDemand > 0, `${onDemand} of them came on demand`);
      t.ok(frozenMs > pageInMs, 'while the app stood still');
      t.match(await system.instances(), [{ host: to, status: 'running' }], 'one instance, and it runs there');
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
