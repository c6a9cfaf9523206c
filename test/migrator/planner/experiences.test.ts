import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { pino } from 'pino';
import t from 'tap';
import { Strategy } from '../../../migrator/events.ts';
import type { Experience } from '../../../migrator/planner/costs.ts';
import { Experiences } from '../../../migrator/planner/experiences.ts';

const log = pino({ level: 'silent' });
const pair = { from: 'a', to: 'b' };
const took = (ms: number): Experience => ({
  app: 'shop',
  strategy: Strategy.preCopy,
  points: { restore: { x: 64, y: ms } },
});

t.test('what was learnt outlives the gateway, by the pair of hosts', async (t) => {
  const file = path.join(t.testdir(), 'state/experiences.json');
  const experiences = await Experiences.open(file, log);
  t.same(experiences.of(pair), []);
  await Promise.all([experiences.add(pair, took(1)), experiences.add(pair, took(2))]);
  await experiences.add({ from: 'b', to: 'a' }, took(3));
  const later = await Experiences.open(file, log);
  t.same(later.of(pair), [took(2), took(1)], 'the newest first');
  t.same(later.of({ from: 'b', to: 'a' }), [took(3)], 'the way back is another pair');
});

t.test('what was never tried in one direction is as it was in the other', async (t) => {
  const experiences = await Experiences.open(path.join(t.testdir(), 'experiences.json'), log);
  const hybrid = { ...took(3), strategy: Strategy.hybrid };
  await experiences.add({ from: 'b', to: 'a' }, hybrid);
  await experiences.add({ from: 'b', to: 'a' }, took(2));
  await experiences.add(pair, took(1));
  t.same(experiences.between(pair), [took(1), hybrid]);
  t.same(experiences.between({ from: 'b', to: 'a' }), [took(2), hybrid]);
  t.same(experiences.between({ from: 'b', to: 'c' }), []);
});

t.test('it stays small', async (t) => {
  const file = path.join(t.testdir(), 'experiences.json');
  const experiences = await Experiences.open(file, log);
  for (let move = 0; move < 70; move++) void experiences.add(pair, took(move));
  await experiences.close();
  const moves = (await Experiences.open(file, log)).of(pair);
  t.equal(moves.length, 60);
  t.same(moves[0], took(69));
});

t.test('a file that makes no sense, or is of another version, is begun anew', async (t) => {
  const file = path.join(t.testdir(), 'experiences.json');
  for (const text of ['{', '[]', '{"version":1,"pairs":[]}', '{"version":2,"pairs":[{"from":1}]}']) {
    await writeFile(file, text);
    const experiences = await Experiences.open(file, log);
    t.same(experiences.of(pair), [], text);
    await experiences.add(pair, took(1));
    t.match(JSON.parse(await readFile(file, 'utf8')), { version: 2 });
  }
});
