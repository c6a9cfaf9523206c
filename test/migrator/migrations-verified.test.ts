import t from 'tap';
import { fetchesOnDemand, Step, Strategy } from '../../migrator/events.ts';
import { at, LAZY, liveAndServedAt, move, open } from './moving.ts';
import { Fault, World } from './world.ts';

for (const strategy of Object.values(Strategy)) {
  const fetched = fetchesOnDemand(strategy) ? ['b.pageIn'] : [];
  for (const call of ['a.sums', 'b.sums', 'b.restoreFrozen', 'b.resume', ...fetched]) {
    for (const fault of Object.values(Fault)) {
      t.test(
        `${strategy}, ${fault} at ${call} of a move that is verified: the app runs on at its source`,
        async (t) => {
          const world = new World();
          world.faults.set(call, fault);
          const migrations = await open(world, t.testdir());
          const record = migrations.get(await move(migrations, strategy, { verify: true }));
          t.equal(record?.state, 'rolled-back');
          liveAndServedAt(t, world, 'a');
          t.equal(world.hosts.b?.state, 'absent', 'the other end has nothing left');
        },
      );
    }
  }

  t.test(`${strategy}, a move that is verified compares the memory before the app runs on`, async (t) => {
    const world = new World();
    const migrations = await open(world, t.testdir());
    const running: string[][] = [];
    migrations.subscribe((event) => {
      if (event.type === 'step-started' && event.step === 'verify') running.push(world.running());
    });
    const record = migrations.get(await move(migrations, strategy, { verify: true }));
    t.match(record, { state: 'succeeded', figures: { verifiedBytes: 1, frozenMs: Number } });
    t.same(running, [[]], 'nothing ran while it was compared');
    liveAndServedAt(t, world, 'b');
  });
}

for (const strategy of LAZY) {
  t.test(`${strategy}, verified: every page is fetched before, and none is left to follow`, async (t) => {
    const world = new World();
    const migrations = await open(world, t.testdir());
    const record = migrations.get(await move(migrations, strategy, { verify: true }));
    t.match(record?.figures, { pageInMs: 1, fromSourceBytes: 1, pageWaits: 1, bytesSent: 2 });
    const steps = record?.steps.map(({ step }) => step) ?? [];
    t.same(steps.slice(steps.indexOf(Step.restore)), [
      ...[Step.restore, Step.pageIn, Step.verify, Step.healthCheck, Step.commit, Step.release, Step.cleanup],
    ]);
  });

  t.test(`${strategy}, pages lost before they can be verified: as if nothing had been`, async (t) => {
    const world = new World();
    const migrations = await open(world, t.testdir());
    at(migrations, 'step-started', Step.pageIn, () => world.losePages());
    const record = migrations.get(await move(migrations, strategy, { verify: true }));
    t.match(record, { state: 'rolled-back', error: { code: 'PAGES_LOST' } });
    liveAndServedAt(t, world, 'a');
  });

  t.test(
    `${strategy}, pages that outlast the hold are given up: the app runs on at its source`,
    async (t) => {
      const world = new World();
      world.stalled.add('b');
      const migrations = await open(world, t.testdir());
      const record = migrations.get(await move(migrations, strategy, { verify: true }));
      t.match(record, { state: 'rolled-back', error: { code: 'DEADLINE' } });
      liveAndServedAt(t, world, 'a');
      t.equal(world.hosts.b?.state, 'absent', 'the other end has nothing left');
    },
  );
}

t.test('left to choose, the planner has every strategy to take for a move that is verified', async (t) => {
  const migrations = await open(new World(), t.testdir());
  const { predictions } = await migrations.plan({ app: 'shop', to: 'b', verify: true });
  t.same(new Set(predictions.map(({ strategy }) => strategy)), new Set(Object.values(Strategy)));
  const { id } = await migrations.order({ app: 'shop', to: 'b', verify: true });
  await migrations.settled();
  t.match(migrations.get(id), { state: 'succeeded', figures: { verifiedBytes: 1 } });
});

t.test('memory that differs is told by process and address, and the move is rolled back', async (t) => {
  const world = new World();
  world.memory.b = 'other';
  const migrations = await open(world, t.testdir());
  const record = migrations.get(await move(migrations, Strategy.preCopy, { verify: true }));
  t.match(record, {
    state: 'rolled-back',
    error: {
      code: 'MEMORY_DIFFERS',
      message: 'process 1 has other memory at b, in 7f0000000000-7f0000100000',
    },
  });
  t.equal(record?.figures?.verifiedBytes, undefined);
  liveAndServedAt(t, world, 'a');
});
