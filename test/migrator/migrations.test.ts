import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { pino } from 'pino';
import t, { type Test } from 'tap';
import { fetchesOnDemand, type MigrationEvent, Step, Strategy, sendsAhead } from '../../migrator/events.ts';
import { Migrations } from '../../migrator/migrations.ts';
import { Experiences } from '../../migrator/planner/experiences.ts';
import { Planner } from '../../migrator/planner/planner.ts';
import { Fault, World } from './world.ts';

const log = pino({ level: 'silent' });
const hold = { drainTimeoutMs: 100, maxHoldMs: 400 };
const apps = new Map([['shop', { container: 'shop', hold }]]);
const LAZY = Object.values(Strategy).filter(fetchesOnDemand);

/** The calls of a move that can go wrong, up to the commit. */
function callsOf(strategy: Strategy): string[] {
  const ahead = sendsAhead(strategy) ? ['preCopy'] : [];
  return ['prepare', 'connect', ...ahead, 'freeze', 'dump', 'send', 'restore', 'health', 'commit'];
}

async function open(world: World, journalDir: string): Promise<Migrations> {
  const planner = new Planner(await Experiences.open(path.join(journalDir, 'experiences.json'), log));
  const agents = world.agents();
  return Migrations.open({ gate: world, agents, apps, placements: world, planner, journalDir, log });
}

async function move(
  migrations: Migrations,
  strategy: Strategy = Strategy.preCopy,
  options: { verify?: boolean } = {},
): Promise<string> {
  const { id } = await migrations.order({ app: 'shop', to: 'b', strategy, ...options });
  await migrations.settled();
  return id;
}

function liveAndServedAt(t: Test, world: World, host: string): void {
  t.same(world.running(), [host], 'exactly one instance runs');
  t.same(world.gate, { open: true, to: host }, 'requests go to it');
  t.same(world.violations, [], 'at no instant did two run, or requests go where nothing ran');
}

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

  for (const call of ['a.bring', 'b.standBy']) {
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

t.test(
  'the events of a move whose app is in the configuration no more end where the journal does',
  async (t) => {
    const [crash] = (await everyCrash(t, new World())).filter(({ name }) =>
      name.startsWith('after step-started dump'),
    );
    const journalDir = t.testdir();
    const text = crash?.lines.join('').replaceAll('"app":"shop"', '"app":"gone"') ?? '';
    await writeFile(path.join(journalDir, `${crash?.id}.jsonl`), text);
    const migrations = await open(crash?.world as World, journalDir);
    await migrations.recover();
    const types: string[] = [];
    const signal = AbortSignal.timeout(20_000);
    for await (const { type } of migrations.events(crash?.id ?? '', signal) ?? []) types.push(type);
    t.equal(types.at(-1), 'step-started');
    t.notOk(signal.aborted);
    await migrations.close();
  },
);

for (const strategy of Object.values(Strategy)) {
  t.test(
    `${strategy}, a gateway killed at any point: the next one leaves one instance, which serves`,
    async (t) => {
      const crashes = [
        ...(await everyCrash(t, new World(), strategy)),
        ...(await everyCrash(t, new World(), strategy, { verify: true })),
      ];
      t.ok(crashes.length > 40, 'every event of a whole move is a point to crash at');
      for (const crash of crashes) await goOnAfter(t, crash);
    },
  );
}

for (const strategy of LAZY) {
  t.test(`${strategy}, a gateway killed at any point of the way back from lost pages`, async (t) => {
    const crashes = await everyCrash(t, new World(), strategy, {
      arrange: (migrations, world) => at(migrations, 'step-started', Step.pageIn, () => world.losePages()),
    });
    for (const crash of crashes) await goOnAfter(t, crash);
  });
}

for (const strategy of Object.values(Strategy)) {
  for (const gone of ['a', 'b']) {
    t.test(
      `${strategy}, a gateway killed at any point, and ${gone} taken out of the configuration: what is left is served`,
      async (t) => {
        for (const crash of await everyCrash(t, new World(), strategy)) {
          const { world } = crash;
          if (gone === 'a' && world.hosts.b?.pages === 'at the source') world.losePages();
          world.killFrozen(gone);
          world.outOfConfiguration.add(gone);
          const left = gone === 'a' ? 'b' : 'a';
          const isKept = gone === 'b' || crash.lines.some((line) => line.includes('"step":"commit"'));
          const alive = isKept && world.hosts[left]?.state !== 'absent' ? [left] : [];
          const migrations = await takeUp(t, crash);
          t.same(world.running(), alive, `${crash.name}: what can run does`);
          t.equal(world.gate.open, true, `${crash.name}: nobody is kept waiting`);
          if (alive.length > 0)
            t.same(world.gate, { open: true, to: alive[0] }, `${crash.name}: it is served`);
          t.same(migrations.undecidedApps(), [], `${crash.name}: it can be started anew`);
          await migrations.close();
        }
      },
    );
  }
}

/** What a gateway does at its start: the gate of an undecided app is closed until recovery has dealt with it. */
async function takeUp(t: Test, { id, world, lines }: Crash): Promise<Migrations> {
  const journalDir = t.testdir();
  await writeFile(path.join(journalDir, `${id}.jsonl`), lines.join(''));
  const migrations = await open(world, journalDir);
  if (migrations.undecidedApps().includes('shop')) world.gate = { open: false };
  else if (world.gate.open === false) world.gate = { open: true, to: world.home };
  await migrations.recover();
  await migrations.settled();
  return migrations;
}

async function goOnAfter(t: Test, crash: Crash): Promise<void> {
  const { name, world } = crash;
  const migrations = await takeUp(t, crash);
  const [host] = world.running();
  t.same(world.running().length, 1, `${name}: exactly one instance runs`);
  t.same(world.gate, { open: true, to: host }, `${name}: requests go to it`);
  t.equal(world.home, host, `${name}: and will after a restart`);
  t.same(world.violations, [], `${name}: never two`);
  await migrations.close();
}

t.test(
  'a torn last line of a journal is not believed, and what follows stands on a line of its own',
  async (t) => {
    const [crash] = (await everyCrash(t, new World())).filter(({ name }) =>
      name.startsWith('after step-started dump'),
    );
    const journalDir = t.testdir();
    await writeFile(
      path.join(journalDir, `${crash?.id}.jsonl`),
      `${crash?.lines.join('')}{"type":"step-star`,
    );
    const migrations = await open(crash?.world as World, journalDir);
    await migrations.recover();
    await migrations.close();
    const [name] = await readdir(journalDir);
    const text = await readFile(path.join(journalDir, name as string), 'utf8');
    t.doesNotThrow(() =>
      text
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line)),
    );
    t.match(text, /"outcome":"rolled-back"/);
  },
);

interface Crash {
  readonly id: string;
  readonly name: string;
  readonly world: World;
  readonly lines: string[];
}

/** The world and the journal at every event of a move: with the event written, and with it not yet written. */
async function everyCrash(
  t: Test,
  world: World,
  strategy: Strategy = Strategy.preCopy,
  options: { verify?: boolean; arrange?: (migrations: Migrations, world: World) => void } = {},
): Promise<Crash[]> {
  const { arrange = () => {}, ...ordered } = options;
  const crashes: Crash[] = [];
  const lines: string[] = [];
  const journalDir = path.join(t.testdir(), 'whole');
  await mkdir(journalDir, { recursive: true });
  const migrations = await open(world, journalDir);
  migrations.subscribe((event: MigrationEvent) => {
    const id = event.migrationId;
    const what = `${event.type} ${'step' in event ? event.step : ''}`;
    if (lines.length > 0)
      crashes.push({ id, name: `before ${what}`, world: world.clone(), lines: [...lines] });
    lines.push(`${JSON.stringify(event)}\n`);
    crashes.push({ id, name: `after ${what}`, world: world.clone(), lines: [...lines] });
  });
  arrange(migrations, world);
  await move(migrations, strategy, ordered);
  return crashes;
}

/** Do something at an event of a step. */
function at(migrations: Migrations, type: MigrationEvent['type'], step: Step, act: () => void): void {
  migrations.subscribe((event) => {
    if (event.type === type && 'step' in event && event.step === step) act();
  });
}
