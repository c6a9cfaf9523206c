import t from 'tap';
import { fetchesOnDemand, Step, Strategy, sendsAhead } from '../../migrator/events.ts';
import { at, callsOf, liveAndServedAt, move, open } from './moving.ts';
import { Fault, World } from './world.ts';

for (const strategy of Object.values(Strategy)) {
  t.test(
    `${strategy} without a fault ends at the destination and leaves nothing at the source`,
    async (t) => {
      const world = new World();
      const migrations = await open(world, t.testdir());
      const id = await move(migrations, strategy);
      t.equal(migrations.get(id)?.state, 'succeeded');
      liveAndServedAt(t, world, 'b');
      t.equal(world.home, 'b');
      t.equal(world.hosts.a?.state, 'absent');
      t.equal(world.hosts.b?.pages, 'all here');
      const bytesSent = fetchesOnDemand(strategy) ? 2 : 1;
      t.match(migrations.get(id)?.figures, { frozenMs: Number, holdMs: 1, totalMs: Number, bytesSent });
      const steps = migrations.get(id)?.steps.map(({ step }) => step) ?? [];
      t.equal(steps.includes(Step.preCopy), sendsAhead(strategy));
      t.equal(steps.includes(Step.pageIn), fetchesOnDemand(strategy));
    },
  );
}

for (const strategy of Object.values(Strategy)) {
  t.test(
    `${strategy} of an app that owns more than memory brings it first, and what has changed since`,
    async (t) => {
      const world = new World();
      world.brings = true;
      const migrations = await open(world, t.testdir());
      const id = await move(migrations, strategy);
      t.equal(migrations.get(id)?.state, 'succeeded');
      liveAndServedAt(t, world, 'b');
      const times = sendsAhead(strategy) ? 2 : 1;
      t.match(migrations.get(id)?.figures, { layerBytes: 2 * times, fileBytes: 3 * times + 1 });
      const steps = migrations.get(id)?.steps.map(({ step }) => step) ?? [];
      const last = sendsAhead(strategy) ? Step.bringAgain : Step.bring;
      t.ok(steps.indexOf(Step.bring) < steps.indexOf(Step.standBy));
      t.ok(steps.indexOf(last) < steps.indexOf(Step.standBy));
      t.ok(steps.indexOf(Step.standBy) < steps.indexOf(Step.hold));
    },
  );

  for (const call of ['a.bring', 'b.standBy', 'a.getReady']) {
    for (const fault of Object.values(Fault)) {
      t.test(`${strategy}, ${fault} at ${call}: the app runs on, and nothing was held`, async (t) => {
        const world = new World();
        world.brings = true;
        world.faults.set(call, fault);
        const migrations = await open(world, t.testdir());
        const record = migrations.get(await move(migrations, strategy));
        t.match(record, { state: 'rolled-back', figures: { holdMs: undefined, frozenMs: undefined } });
        liveAndServedAt(t, world, 'a');
        t.equal(world.belongings, 'absent');
      });
    }
  }
}

t.test('what fails beside memory sent ahead ends both, and then the way back begins', async (t) => {
  const world = new World();
  world.brings = true;
  const migrations = await open(world, t.testdir());
  at(migrations, 'step-started', Step.bringAgain, () => world.faults.set('a.bring', Fault.refuses));
  const id = await move(migrations, Strategy.preCopy);
  t.match(migrations.get(id), { state: 'rolled-back', error: { code: 'REFUSED' } });
  liveAndServedAt(t, world, 'a');
  const events: string[] = [];
  for await (const event of migrations.events(id, AbortSignal.timeout(1000)) ?? []) events.push(event.type);
  const firstUndo = events.indexOf('undo-started');
  t.notOk(
    events.slice(firstUndo).some((type) => type.startsWith('step-')),
    'nothing is under way any more',
  );
});

for (const call of ['examine', 'admit']) {
  t.test(`a move that ${call} speaks against is refused before anything is touched`, async (t) => {
    const world = new World();
    world.faults.set(call === 'examine' ? 'a.examine' : 'b.admit', Fault.refuses);
    const migrations = await open(world, t.testdir());
    const record = migrations.get(await move(migrations));
    t.match(record, { state: 'refused', error: { code: 'REFUSED' }, steps: [] });
    liveAndServedAt(t, world, 'a');
  });
}

for (const strategy of Object.values(Strategy)) {
  for (const call of callsOf(strategy)) {
    const host = ['connect', 'preCopy', 'freeze', 'dump', 'send'].includes(call) ? 'a' : 'b';
    for (const fault of Object.values(Fault)) {
      t.test(`${strategy}, ${fault} at ${call}: one instance is left, and it serves`, async (t) => {
        const world = new World();
        world.faults.set(`${host}.${call}`, fault);
        const migrations = await open(world, t.testdir());
        const record = migrations.get(await move(migrations, strategy));
        const carriedThrough = call === 'commit' && fault !== Fault.refuses;
        t.equal(record?.state, carriedThrough ? 'succeeded' : 'rolled-back');
        liveAndServedAt(t, world, carriedThrough ? 'b' : 'a');
        t.equal(world.hosts[carriedThrough ? 'a' : 'b']?.state, 'absent', 'the other end has nothing left');
      });
    }
  }
}

t.test('two orders for one app at once: one is carried out, the other refused', async (t) => {
  const migrations = await open(new World(), t.testdir());
  const orders = [1, 2].map(() => migrations.order({ app: 'shop', to: 'b' }));
  const [first, second] = await Promise.allSettled(orders);
  t.equal(first?.status, 'fulfilled');
  t.match(second, { status: 'rejected', reason: { code: 'MIGRATION_UNDER_WAY' } });
  await migrations.settled();
});

t.test('an order that cannot be is refused by name', async (t) => {
  const migrations = await open(new World(), t.testdir());
  await t.rejects(migrations.order({ app: 'shoop', to: 'b' }), { code: 'APP_UNKNOWN' });
  await t.rejects(migrations.order({ app: 'shop', to: 'c' }), { code: 'HOST_UNKNOWN' });
  await t.rejects(migrations.order({ app: 'shop', to: 'a' }), { code: 'ALREADY_THERE' });
});

t.test('whoever reads the events late reads all of them', async (t) => {
  const migrations = await open(new World(), t.testdir());
  const id = await move(migrations);
  const types: string[] = [];
  for await (const event of migrations.events(id, AbortSignal.timeout(1000)) ?? []) types.push(event.type);
  t.equal(types[0], 'started');
  t.equal(types.at(-1), 'ended');
});
