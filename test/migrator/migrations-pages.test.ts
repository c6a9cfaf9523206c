import t from 'tap';
import { type MigrationEvent, Step } from '../../migrator/events.ts';
import { at, LAZY, liveAndServedAt, move, open } from './moving.ts';
import { Fault, World } from './world.ts';

for (const strategy of LAZY) {
  for (const fault of [Fault.unreachableOnce, Fault.answerLost]) {
    t.test(`${strategy}, ${fault} while pages come: they are waited for`, async (t) => {
      const world = new World();
      world.faults.set('b.pageIn', fault);
      const migrations = await open(world, t.testdir());
      t.equal(migrations.get(await move(migrations, strategy))?.state, 'succeeded');
      liveAndServedAt(t, world, 'b');
      t.equal(world.hosts.a?.state, 'absent');
    });
  }

  t.test(
    `${strategy}, a destination that knows nothing of its pages: the source stays as it is`,
    async (t) => {
      const world = new World();
      world.faults.set('b.pageIn', Fault.refuses);
      const migrations = await open(world, t.testdir());
      const record = migrations.get(await move(migrations, strategy));
      t.match(record, { state: 'failed', error: { code: 'REFUSED' } });
      liveAndServedAt(t, world, 'b');
      t.equal(world.hosts.a?.state, 'frozen', 'its pages may still be needed');
    },
  );

  t.test(`${strategy}, pages lost before the commit: the app runs on as if nothing had been`, async (t) => {
    const world = new World();
    const migrations = await open(world, t.testdir());
    at(migrations, 'step-started', Step.commit, () => world.losePages());
    const record = migrations.get(await move(migrations, strategy));
    t.match(record, { state: 'rolled-back', error: { code: 'PAGES_LOST' } });
    liveAndServedAt(t, world, 'a');
    t.equal(world.home, 'a');
  });

  t.test(
    `${strategy}, pages lost after the release: the app goes on at the source, and what it lost is told`,
    async (t) => {
      const world = new World();
      const migrations = await open(world, t.testdir());
      at(migrations, 'step-started', Step.pageIn, () => world.losePages());
      const id = await move(migrations, strategy);
      t.match(migrations.get(id), { state: 'set-back', error: { code: 'PAGES_LOST' } });
      liveAndServedAt(t, world, 'a');
      t.equal(world.home, 'a');
      const events: MigrationEvent[] = [];
      for await (const event of migrations.events(id, AbortSignal.timeout(1000)) ?? []) events.push(event);
      const lost = events.find(({ type }) => type === 'pages-lost');
      t.match(lost, { requests: 7, error: { code: 'PAGES_LOST' } });
      const released = events.find((event) => event.type === 'step-started' && event.step === Step.release);
      const finished = events.find((event) => event.type === 'step-finished' && event.step === Step.commit);
      const since = lost?.type === 'pages-lost' ? lost.since : '';
      t.ok(since <= (released?.at ?? '') && since >= (finished?.at ?? ''), 'from the release on');
    },
  );

  for (const goesOn of ['the same gateway', 'the next gateway']) {
    t.test(
      `${strategy}, pages lost and the source away: nobody is kept waiting, and ${goesOn} wakes the app`,
      async (t) => {
        const world = new World();
        const journalDir = t.testdir();
        const first = await open(world, journalDir);
        at(first, 'step-started', Step.pageIn, () => {
          world.losePages();
          world.away.add('a');
        });
        const { id } = await first.order({ app: 'shop', to: 'b', strategy });
        for await (const event of first.events(id, AbortSignal.timeout(10_000)) ?? []) {
          if (event.type === 'undo-finished' && event.step === Step.hold) break;
        }
        t.match(first.get(id), { state: 'running' }, 'the source is asked again and again');
        t.same(world.running(), [], 'nothing runs');
        t.same(world.gate, { open: true, to: 'a' }, 'and nobody is kept waiting for it');

        let last = first;
        let ended = first.settled();
        if (goesOn === 'the next gateway') {
          await first.close();
          world.gate = { open: false };
          last = await open(world, journalDir);
          ended = last.recover();
        }
        world.violations.length = 0; // Requests went where nothing ran: nothing ran anywhere.
        world.away.delete('a');
        await ended;
        t.match(last.get(id), { state: 'set-back', error: { code: 'PAGES_LOST' } });
        liveAndServedAt(t, world, 'a');
        await last.close();
      },
    );
  }

  t.test(
    `${strategy}, pages lost and the source killed: it is said so, and nothing waits for it`,
    async (t) => {
      const world = new World();
      const journalDir = t.testdir();
      const migrations = await open(world, journalDir);
      at(migrations, 'step-started', Step.pageIn, () => {
        world.losePages();
        world.killFrozen('a');
      });
      const record = migrations.get(await move(migrations, strategy));
      t.match(record, { state: 'lost', error: { code: 'INSTANCE_LOST' } });
      t.same(world.gate, { open: true, to: 'a' }, 'nobody is kept waiting for it');
      await migrations.close();
      t.same((await open(world, journalDir)).undecidedApps(), [], 'the next gateway lets it be started anew');
    },
  );

  t.test(`${strategy}, the source away after the last page: the app does not notice`, async (t) => {
    const world = new World();
    const migrations = await open(world, t.testdir());
    at(migrations, 'step-finished', Step.pageIn, () => world.away.add('a'));
    t.equal(migrations.get(await move(migrations, strategy))?.state, 'succeeded');
    t.same(world.gate, { open: true, to: 'b' });
    t.equal(world.hosts.b?.state, 'running');
    await migrations.close();
  });
}
