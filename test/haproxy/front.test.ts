import t, { type Test } from 'tap';
import type { RuntimeAddress } from '../../haproxy/address.ts';
import { haproxyConfig } from '../../haproxy/config-text.ts';
import { type DirectTarget, Front } from '../../haproxy/front.ts';
import { type Edition, editions, Haproxy } from './haproxy.ts';

const found = await editions();
const skip = typeof found === 'string' ? found : false;
const never = new AbortController().signal;
const TIMEOUT_MS = 5_000;

async function start(t: Test, edition: Edition): Promise<Haproxy> {
  const haproxy = await Haproxy.create(edition);
  t.teardown(() => haproxy.stop());
  return haproxy.begin(
    haproxyConfig({
      bind: `unix@${haproxy.socket}.http`,
      gate: '127.0.0.1:1',
      map: haproxy.map,
      statsSocket: haproxy.socket,
      apps: [{ name: 'shop', matches: [{}] }],
      timeouts: {
        connectMs: TIMEOUT_MS,
        serverMs: TIMEOUT_MS,
        clientMs: TIMEOUT_MS,
        requestHeadMs: TIMEOUT_MS,
        keepAliveMs: TIMEOUT_MS,
      },
    }),
  );
}

for (const edition of typeof found === 'string' ? [] : found) {
  t.test(`${edition.name} is looked at when there may be news, and seldom otherwise`, { skip }, async (t) => {
    const [one, two] = await Promise.all([start(t, edition), start(t, edition)]);
    let target: DirectTarget | undefined;
    const front = (
      address: RuntimeAddress,
      { map }: Haproxy,
      wanted = (): DirectTarget | undefined => undefined,
    ) => {
      const front = new Front({ address, map, apps: ['shop'], wanted, timeoutMs: TIMEOUT_MS });
      t.teardown(() => front.close());
      return front;
    };
    const fronts = {
      'one that was reloaded': front({ path: one.masterSocket }, one),
      'one of which something else is wanted': front({ path: two.masterSocket }, two, () => target),
      'one that has no master to tell': front({ path: two.socket }, two),
      'one of which there is nothing new': front({ path: two.masterSocket }, two),
    };
    for (const [name, front] of Object.entries(fronts)) t.ok(await front.follow(never), name);
    const settled: string[] = [];
    const news = Object.entries(fronts).map(async ([name, front]) => {
      await front.news(never);
      settled.push(name);
    });
    target = { address: '127.0.0.1', port: 2 };
    await one.reload();
    await Promise.all(news);
    t.equal(settled.at(-1), 'one of which there is nothing new');
  });
}
