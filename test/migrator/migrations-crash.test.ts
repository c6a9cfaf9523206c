import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import t, { type Test } from 'tap';
import { type MigrationEvent, Step, Strategy } from '../../migrator/events.ts';
import type { Migrations } from '../../migrator/migrations.ts';
import { at, LAZY, move, open } from './moving.ts';
import { World } from './world.ts';

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
