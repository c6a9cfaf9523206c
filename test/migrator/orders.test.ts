import t from 'tap';
import { HoldfastError } from '../../migrator/errors.ts';
import { type Known, type MigrationRequest, orderOf } from '../../migrator/orders.ts';
import { World } from './world.ts';

const world = new World();
const known: Known = {
  apps: new Map([['shop', { container: 'till', hold: { drainTimeoutMs: 100, maxHoldMs: 400 } }]]),
  agents: world.agents(),
  placements: world,
  underWay: new Map(),
};

function refusalOf(request: MigrationRequest, changes: Partial<Known> = {}): string {
  try {
    orderOf(request, { ...known, ...changes });
    return 'none';
  } catch (error) {
    return error instanceof HoldfastError ? error.code : String(error);
  }
}

t.test('an order names the container and where it runs; the strategy is the planner’s choice', async (t) => {
  const order = orderOf({ app: 'shop', to: 'b' }, known);
  t.match(order, { app: 'shop', container: 'till', from: 'a', to: 'b', strategy: 'auto' });
  const asked = { strategy: 'hybrid', maxFreezeMs: 300, verify: true } as const;
  t.match(orderOf({ app: 'shop', to: 'b', ...asked }, known), asked, 'unless something else is asked for');
});

t.test('the rate is as ordered, else as the app is configured, else without a limit', async (t) => {
  const hold = { drainTimeoutMs: 100, maxHoldMs: 400 };
  const configured = { ...known, apps: new Map([['shop', { container: 'till', hold, limitRateBps: 5e6 }]]) };
  const rateOf = (request: Partial<MigrationRequest>, against: Known) =>
    orderOf({ app: 'shop', to: 'b', ...request }, against).limitRateBps;
  t.equal(rateOf({}, known), undefined);
  t.equal(rateOf({}, configured), 5e6);
  t.equal(rateOf({ limitRateBps: 7e6 }, configured), 7e6);
});

t.test('ids are file names, and sort by the time of the order', async (t) => {
  const { id } = orderOf({ app: 'shop', to: 'b' }, known);
  t.match(id, /^\d{8}-\d{6}-[0-9a-f]{6}$/);
});

t.test('what cannot be is refused by name', async (t) => {
  t.equal(refusalOf({ app: 'shoop', to: 'b' }), 'APP_UNKNOWN');
  t.equal(refusalOf({ app: 'shop', to: 'c' }), 'HOST_UNKNOWN');
  t.equal(refusalOf({ app: 'shop', to: 'a' }), 'ALREADY_THERE');
  t.equal(
    refusalOf({ app: 'shop', to: 'b' }, { underWay: new Map([['shop', 'm1']]) }),
    'MIGRATION_UNDER_WAY',
  );
});

t.test('an app must run somewhere that is known', async (t) => {
  const at = (host: string | undefined) => ({ placements: { hostOf: () => host } });
  t.equal(refusalOf({ app: 'shop', to: 'b' }, at(undefined)), 'NO_TARGET');
  t.equal(refusalOf({ app: 'shop', to: 'b' }, at('gone')), 'HOST_UNKNOWN');
});
