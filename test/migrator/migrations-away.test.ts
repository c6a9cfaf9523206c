import t from 'tap';
import { Step, Strategy } from '../../migrator/events.ts';
import { at, hold, liveAndServedAt, move, open } from './moving.ts';
import { Fault, World } from './world.ts';

for (const strategy of Object.values(Strategy)) {
  t.test(`${strategy}, the source killed while it is frozen: it is said that nothing is left`, async (t) => {
    const world = new World();
    const journalDir = t.testdir();
    world.faults.set('a.send', Fault.refuses);
    const migrations = await open(world, journalDir);
    at(migrations, 'step-started', Step.send, () => world.killFrozen('a'));
    const record = migrations.get(await move(migrations, strategy));
    t.match(record, { state: 'lost', error: { code: 'INSTANCE_LOST' } });
    t.same(world.running(), []);
    t.equal(world.hosts.b?.state, 'absent', 'the other end has nothing left');
    await migrations.close();
    t.same((await open(world, journalDir)).undecidedApps(), [], 'the next gateway lets it be started anew');
  });
}

t.test(
  'a destination that falls silent after the restore is fenced by its lease before the source thaws',
  async (t) => {
    const world = new World();
    const migrations = await open(world, t.testdir());
    migrations.subscribe((event) => {
      if (event.type === 'step-finished' && event.step === 'restore') {
        world.away.add('b');
        world.startLease(hold.maxHoldMs);
      }
    });
    const { id } = await migrations.order({ app: 'shop', to: 'b' });
    t.teardown(() => world.stop());
    for await (const event of migrations.events(id, AbortSignal.timeout(10_000)) ?? []) {
      if (event.type === 'undo-finished' && event.step === 'restore') t.same(world.running(), []);
    }
    t.equal(migrations.get(id)?.state, 'rolled-back');
    liveAndServedAt(t, world, 'a');
    await migrations.close();
  },
);

t.test('a source that is away when it must be thawed is waited for', async (t) => {
  const world = new World();
  world.faults.set('b.restore', Fault.refuses);
  const migrations = await open(world, t.testdir());
  migrations.subscribe((event) => {
    if (event.type === 'step-failed') world.away.add('a');
  });
  let missed = 0;
  world.missed = () => {
    missed += 1;
    if (missed === 3) world.away.delete('a');
  };
  const id = await move(migrations);
  t.equal(migrations.get(id)?.state, 'rolled-back');
  liveAndServedAt(t, world, 'a');
});

t.test('a lease that ran out before the commit arrived sends the app back to the source', async (t) => {
  const world = new World();
  const migrations = await open(world, t.testdir());
  migrations.subscribe((event) => {
    if (event.type === 'step-started' && event.step === 'commit' && world.hosts.b)
      world.hosts.b.state = 'absent';
  });
  const record = migrations.get(await move(migrations));
  t.match(record, { state: 'rolled-back', error: { code: 'LEASE_EXPIRED' } });
  liveAndServedAt(t, world, 'a');
});
