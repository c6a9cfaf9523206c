import type { Test } from 'tap';
import { OneShotRuntime } from '../../haproxy/runtime.ts';
import { StatKind, showStat } from '../../haproxy/stat.ts';
import { type MigrationEvent, Step, Strategy } from '../../migrator/events.ts';
import type { Edition, Haproxy } from '../haproxy/haproxy.ts';
import { parseLink } from '../lab/lab.ts';
import { APP } from '../system/configs.ts';
import { startSystem } from '../system/system.ts';
import { nowMs } from '../workload/exchange.ts';
import { RemoteLoad } from '../workload/remote-load.ts';
import { begins } from './scene.ts';

const MOVES = [
  { to: 'b', strategy: Strategy.preCopy, reloads: false },
  { to: 'a', strategy: Strategy.hybrid, reloads: true },
];

/** Requests that HAProxy sent to the app itself, and to the gate. */
async function sent({ masterSocket }: Haproxy): Promise<{ direct: number; gate: number }> {
  const runtime = new OneShotRuntime({ address: { path: masterSocket } });
  const [stats] = await runtime.ask([showStat({ kinds: [StatKind.backend] })], AbortSignal.timeout(5_000));
  const of = (proxy: string) => stats.find((one) => one.proxy === proxy)?.totalSessions ?? 0;
  return { direct: of(`holdfast_app_${APP}`), gate: of('holdfast_gate') };
}

/**
 * An app moves to and fro under load behind a real HAProxy, set up by what `gateway haproxy config` prints; during the
 * second move it is reloaded while the app is frozen, and after each move the gateway is killed and started again.
 */
export async function moveBehindHaproxy(t: Test, edition: Edition): Promise<void> {
  const system = await startSystem({
    link: parseLink('1gbit'),
    app: { memoryMib: 16 },
    haproxys: [edition],
  });
  t.teardown(() => system.stop());
  const [haproxy] = system.haproxys.all as [Haproxy];
  const load = await RemoteLoad.start({ url: system.url, ratePerS: 200, clients: 16 });
  t.teardown(() => load.stop());

  const windows = [];
  for (const { to, strategy, reloads } of MOVES) {
    const before = await sent(haproxy);
    await load.flowing(10_000);
    const { gate } = await sent(haproxy);
    t.equal(gate, before.gate, 'while nothing moves, nothing goes by way of the gate');
    const fromMs = nowMs();
    let reloaded: Promise<void> | undefined;
    const onEvent = (event: MigrationEvent) => {
      if (reloads && begins(event, Step.freeze)) reloaded = haproxy.reload();
    };
    const ended = await system.migrate(to, onEvent, { strategy });
    await reloaded;
    await load.flowing(10_000);
    windows.push({ fromMs, toMs: nowMs() });
    t.equal(ended.outcome, 'succeeded', `to ${to}, ${strategy}: ${ended.error?.message ?? 'as ordered'}`);
    t.match(await system.instances(), [{ host: to, status: 'running' }], 'one instance, and it runs there');
    t.ok((ended.figures.heldRequests ?? 0) > 0, `${ended.figures.heldRequests} requests were held`);
    await system.direct();
    const { direct } = await sent(haproxy);
    await load.flowing(10_000);
    t.ok((await sent(haproxy)).direct > direct, 'requests go directly again');
    // Whoever is served directly need not know that the gateway is gone.
    await system.gateway.kill({ restart: false });
    await load.flowing(10_000);
    await system.gateway.start({ supervise: false });
    await system.direct();
  }
  const { total, faults } = await load.finish(windows);
  t.match(
    total,
    { failed: 0, lost: 0, duplicated: 0, corrupted: 0, chain: 'unbroken' },
    faults.join('\n') || 'all requests were answered, once, in one chain',
  );
  t.same(await system.leftovers(), [], 'nothing is left over on either host');
  if (!t.passing()) t.comment(system.logs());
}
