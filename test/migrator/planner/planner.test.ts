import path from 'node:path';
import { pino } from 'pino';
import t, { type Test } from 'tap';
import type { Agent } from '../../../migrator/agents.ts';
import { fetchesOnDemand, Strategy, type StrategyOrder } from '../../../migrator/events.ts';
import { Migrations } from '../../../migrator/migrations.ts';
import type { MigrationRequest } from '../../../migrator/orders.ts';
import { Experiences } from '../../../migrator/planner/experiences.ts';
import { Planner } from '../../../migrator/planner/planner.ts';
import { Fault, World } from '../world.ts';
import { situation } from './situations.ts';

const log = pino({ level: 'silent' });
const apps = new Map([['shop', { container: 'shop', hold: { drainTimeoutMs: 100, maxHoldMs: 400 } }]]);

async function open(t: Test) {
  const world = new World();
  const experiences = await Experiences.open(path.join(t.testdir(), 'experiences.json'), log);
  const planner = new Planner(experiences);
  const journalDir = path.join(t.testdir(), 'journal');
  const agents = world.agents();
  const migrations = await Migrations.open({
    gate: world,
    agents,
    apps,
    placements: world,
    planner,
    journalDir,
    log,
  });
  const move = async (to: string, options: Partial<MigrationRequest> = {}) => {
    const { id } = await migrations.order({ app: 'shop', to, ...options });
    await migrations.settled();
    return migrations.get(id);
  };
  return { world, experiences, migrations, move };
}

t.test('the planner’s choice is made, and stands beside what came of it', async (t) => {
  const { migrations, move } = await open(t);
  const record = await move('b');
  t.match(record, {
    state: 'succeeded',
    strategy: 'hybrid',
    reason: /^requests are held for/,
    predicted: { strategy: 'hybrid', frozenMs: Number, totalMs: Number },
    figures: { frozenMs: Number, totalMs: Number },
  });
  const steps = record?.steps.map(({ step }) => step) ?? [];
  t.same(steps.slice(0, 4), ['preflight', 'plan', 'prepare', 'pre-copy']);
  t.equal(migrations.list().length, 1);
});

t.test('moves that succeed are learnt from', async (t) => {
  const { move, migrations, experiences, world } = await open(t);
  const before = (await migrations.plan({ app: 'shop', to: 'b' })).predictions;
  await move('b');
  const [learnt] = experiences.of({ from: 'a', to: 'b' });
  t.match(learnt, { app: 'shop', strategy: 'hybrid', points: { restore: { x: 8, y: Number } } });
  await move('a');
  const after = await migrations.plan({ app: 'shop', to: 'b' });
  t.equal(after.measured.learntFrom, 1);
  for (const [nth, prediction] of after.predictions.entries()) {
    t.ok(prediction.frozenMs < (before[nth]?.frozenMs ?? 0), `${prediction.strategy}: this world is fast`);
  }
  t.same(world.violations, []);
});

t.test('moves that fail are not', async (t) => {
  const { move, experiences, world } = await open(t);
  world.faults.set('b.restore', Fault.refuses);
  t.match(await move('b'), { state: 'rolled-back', predicted: { strategy: 'hybrid' } });
  t.same(experiences.of({ from: 'a', to: 'b' }), []);
});

t.test('of a verified move on demand all but the health check is: its app met no missing page', async (t) => {
  const { move, experiences } = await open(t);
  t.match(await move('b', { strategy: Strategy.hybrid, verify: true }), { state: 'succeeded' });
  const [learnt] = experiences.of({ from: 'a', to: 'b' });
  t.match(learnt?.points, { 'page-in': { y: Number }, commit: { y: Number } });
  t.equal(learnt?.points['health-check'], undefined);
});

t.test('a move that cannot be measured is refused', async (t) => {
  const { move, world } = await open(t);
  world.faults.set('a.measure', Fault.refuses);
  t.match(await move('b'), { state: 'refused', error: { code: 'REFUSED' } });
  t.same(world.running(), ['a']);
});

t.test('a container of several processes is moved before its memory only when that is ordered', async (t) => {
  const plan = await planOf(t, { mib: 1024, dirtyMibPerS: 200, mbit: 100 });
  t.ok(fetchesOnDemand((await plan(1, 'auto')).strategy));
  t.notOk(fetchesOnDemand((await plan(8, 'auto')).strategy));
  t.equal((await plan(8, 'auto')).predictions.length, 4, 'what it would cost is told all the same');
  t.equal((await plan(8, 'hybrid')).strategy, 'hybrid');
});

t.test('or when it is verified: none of them can end while its pages are under way', async (t) => {
  const plan = await planOf(t, { mib: 4096, dirtyMibPerS: 2000, mbit: 40_000 });
  t.ok(fetchesOnDemand((await plan(8, 'auto', true)).strategy));
});

t.test('nor is it where the destination cannot bring memory after the restore', async (t) => {
  const plan = await planOf(t, { mib: 1024, dirtyMibPerS: 200, mbit: 100, lazyPages: false });
  t.notOk(fetchesOnDemand((await plan(1, 'auto')).strategy));
  t.notOk(fetchesOnDemand((await plan(1, 'auto', true)).strategy));
  t.equal((await plan(1, 'pre-copy')).strategy, 'pre-copy');
  await t.rejects(plan(1, 'hybrid'), { code: 'LAZY_PAGES_UNSUPPORTED', mend: /pre-copy/ });
});

/** Plans for an app of so many processes, in a situation. */
async function planOf(
  t: Test,
  { lazyPages = true, ...told }: NonNullable<Parameters<typeof situation>[0]> & { lazyPages?: boolean },
) {
  const planner = new Planner(await Experiences.open(path.join(t.testdir(), 'experiences.json'), log));
  const world = new World();
  world.lazyPages = lazyPages;
  const [a, b] = [...world.agents().values()] as [Agent, Agent];
  const { memory, link } = situation(told);
  const source = { ...a, measure: async () => ({ memory, link }) };
  return async (processes: number, strategy: StrategyOrder, verify = false) => {
    const footprint = { engine: 'runc', port: 1, memoryBytes: memory.privateBytes, processes, evidence: {} };
    const wish = { app: 'shop', container: 'shop', strategy, verify };
    return (await planner.plan(wish, { source, destination: b, footprint }, AbortSignal.timeout(5000))).plan;
  };
}
