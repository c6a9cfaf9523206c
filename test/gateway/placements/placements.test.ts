import { readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { PassThrough } from 'node:stream';
import { pino } from 'pino';
import t, { type Test } from 'tap';
import { PlacementMemory } from '../../../gateway/placements/memory.ts';
import { Placements } from '../../../gateway/placements/placements.ts';
import type { Target } from '../../../migrator/gate.ts';
import { eventually } from '../proxy/harness.ts';
import { ToyHost } from './hosts.ts';

async function setUp(t: Test, hosts: ToyHost[], options: { file?: string; moving?: boolean } = {}) {
  const file = options.file ?? join(t.testdir(), 'state', 'placements.json');
  const lines = new PassThrough({ encoding: 'utf8' });
  const placed: (Target | undefined)[] = [];
  const placements = await Placements.open({
    apps: new Map([['shop', 'shop']]),
    hosts: new Map(hosts.map((agent) => [agent.host, { agent, address: `${agent.host}.example` }])),
    memory: new PlacementMemory(file),
    log: pino(lines),
    onPlaced: (_app, target) => placed.push(target),
    isMoving: () => options.moving ?? false,
  });
  t.teardown(() => placements.close());
  return { placements, placed, lines, file };
}

t.test('an app that runs on one host is found there and remembered', async (t) => {
  const { placements, placed, file } = await setUp(t, [new ToyHost('a'), new ToyHost('b', 'running', 3001)]);
  t.equal(placements.hostOf('shop'), undefined);
  await placements.survey();
  t.equal(placements.hostOf('shop'), 'b');
  t.same(placed, [{ host: 'b', url: 'http://b.example:3001' }]);
  t.match(JSON.parse(await readFile(file, 'utf8')), { hosts: { shop: 'b' }, ports: { shop: { b: 3001 } } });
});

t.test('a frozen app is still where it is', async (t) => {
  const { placements } = await setUp(t, [new ToyHost('a', 'frozen'), new ToyHost('b')]);
  await placements.survey();
  t.equal(placements.hostOf('shop'), 'a');
});

t.test('while its host is out of reach, an app is taken to be where it was last', async (t) => {
  const [a, b] = [new ToyHost('a'), new ToyHost('b', 'running')];
  const { placements, file } = await setUp(t, [a, b]);
  await placements.survey();
  await placements.close();
  a.silent = true;
  b.silent = true;
  const later = await setUp(t, [a, b], { file });
  await later.placements.survey();
  t.same(later.placed, [{ host: 'b', url: 'http://b.example:3000' }]);
});

t.test(
  'while what runs containers on its host is away, an app is taken to be where it was last',
  async (t) => {
    const [a, b] = [new ToyHost('a'), new ToyHost('b', 'running')];
    const { placements } = await setUp(t, [a, b]);
    await placements.survey();
    b.state = 'unknown';
    await placements.survey();
    t.equal(placements.hostOf('shop'), 'b');
  },
);

t.test('what a host says now counts more than what was remembered', async (t) => {
  const [a, b] = [new ToyHost('a', 'running'), new ToyHost('b')];
  const { placements, file } = await setUp(t, [a, b]);
  await placements.survey();
  await placements.close();
  a.state = 'absent';
  b.state = 'running';
  const later = await setUp(t, [a, b], { file });
  await later.placements.survey();
  t.equal(later.placements.hostOf('shop'), 'b');
});

t.test('of two copies the last known one is served, and an error names both', async (t) => {
  const [a, b] = [new ToyHost('a', 'running'), new ToyHost('b')];
  const { placements, lines } = await setUp(t, [a, b]);
  await placements.survey();
  b.state = 'running';
  await placements.survey();
  const said = String(lines.read()).trim().split('\n').at(-1) ?? '';
  t.match(JSON.parse(said), { code: 'TWO_INSTANCES', hosts: ['a', 'b'], app: 'shop', level: 50 });
  t.equal(placements.hostOf('shop'), 'a');
});

t.test('of two copies neither is served when nothing is known of them', async (t) => {
  const { placements, placed } = await setUp(t, [new ToyHost('a', 'running'), new ToyHost('b', 'running')]);
  await placements.survey();
  t.same(placed, [undefined]);
});

t.test('an app that was not found is searched for until it is', async (t) => {
  const [a, b] = [new ToyHost('a'), new ToyHost('b', 'running')];
  b.silent = true;
  const { placements, placed, lines } = await setUp(t, [a, b]);
  await placements.survey();
  t.same(placed, [undefined]);
  placements.watch();
  b.silent = false;
  for await (const line of lines) if (String(line).includes('app found')) break;
  t.equal(placements.hostOf('shop'), 'b');
});

t.test('an app that is missed is looked for, however often it was not found before', async (t) => {
  const [a, b] = [new ToyHost('a', 'running'), new ToyHost('b')];
  const { placements, placed } = await setUp(t, [a, b]);
  await placements.survey();
  const foundElsewhere = async (from: ToyHost, to: ToyHost, port: number) => {
    from.state = 'absent';
    placements.missed('shop');
    await eventually(() => placed.at(-1) === undefined);
    Object.assign(to, { state: 'running', port });
    placements.missed('shop');
    await eventually(() => placements.hostOf('shop') === to.host);
    t.same(placed.at(-1), { host: to.host, url: `http://${to.host}.example:${port}` });
  };
  await foundElsewhere(a, b, 3001);
  await foundElsewhere(b, a, 3002);
});

t.test('an app that many miss at once is asked for once', async (t) => {
  const a = new ToyHost('a', 'running');
  const { placements } = await setUp(t, [a]);
  await placements.survey();
  for (let i = 0; i < 1_000; i++) placements.missed('shop');
  await eventually(() => a.asked === 2);
  for (let i = 0; i < 1_000; i++) placements.missed('shop');
  t.equal(a.asked, 2);
});

t.test('an app whose port nobody knows is searched for until it is reached', async (t) => {
  const a = new ToyHost('a', 'running', 0);
  const { placements, placed, lines } = await setUp(t, [a]);
  await placements.survey();
  t.equal(placements.hostOf('shop'), 'a');
  t.same(placed, [undefined]);
  t.match(String(lines.read()), 'not the port');
  a.port = 3003;
  placements.watch();
  await eventually(() => placed.length > 1);
  t.same(placed.at(-1), { host: 'a', url: 'http://a.example:3003' });
});

t.test('an app in the hands of a migration is left to it', async (t) => {
  const a = new ToyHost('a', 'running');
  const { placements, placed } = await setUp(t, [a], { moving: true });
  await placements.survey();
  placements.missed('shop');
  t.same(placed, []);
});

t.test('a move made while the hosts are asked counts more than their answers', async (t) => {
  const a = new ToyHost('a', 'running');
  const { placements } = await setUp(t, [a, new ToyHost('b')]);
  const surveyed = placements.survey();
  await placements.moved('shop', 'b');
  await surveyed;
  t.equal(placements.hostOf('shop'), 'b');
});

t.test('the port at a silent host is taken to be the one the others have', async (t) => {
  const b = new ToyHost('b');
  b.silent = true;
  const { placements } = await setUp(t, [new ToyHost('a', 'running', 4000), b]);
  t.throws(() => placements.targetAt('shop', 'b'), { code: 'PLACE_UNKNOWN' });
  await placements.survey();
  t.equal(placements.targetAt('shop', 'b').url, 'http://b.example:4000');
});

t.test('a stopped app is nowhere, a started one where it was started', async (t) => {
  const { placements, placed } = await setUp(t, [new ToyHost('a', 'running'), new ToyHost('b')]);
  await placements.survey();
  await placements.stopped('shop');
  t.equal(placements.hostOf('shop'), undefined);
  t.equal(placed.at(-1), undefined);
  await placements.started('shop', 'b');
  t.same(placed.at(-1), { host: 'b', url: 'http://b.example:3000' });
});

t.test('a disk that takes no more does not undo a move', async (t) => {
  const { placements, lines, file } = await setUp(t, [new ToyHost('a', 'running'), new ToyHost('b')]);
  await writeFile(dirname(file), 'a file where the directory should be');
  await placements.moved('shop', 'b');
  t.equal(placements.hostOf('shop'), 'b');
  t.match(String(lines.read()), 'cannot be written');
});

t.test('a file of placements that makes no sense is refused by name', async (t) => {
  const file = join(t.testdir(), 'placements.json');
  await writeFile(file, '{"hosts": [');
  await t.rejects(new PlacementMemory(file).read(), { code: 'PLACEMENTS_UNREADABLE' });
  await writeFile(file, '{"hosts": {"shop": 3}}');
  await t.rejects(new PlacementMemory(file).read(), { code: 'PLACEMENTS_UNREADABLE' });
});
