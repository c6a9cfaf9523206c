import { mkdirSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import type { TreeLog } from '../../../migrator/files/change-source.ts';
import { MovingTree } from '../../../migrator/files/moving-tree.ts';
import { receiveTree } from '../../../migrator/files/receive-tree.ts';
import { differences, fullListing } from './listing.ts';
import { RandomChanges, seeded } from './random-changes.ts';
import { streamPair } from './stream-pair.ts';
import { whyNotHere } from './why-not-here.ts';

/** More of them, or others: SEED=100 SEEDS=50. */
const FIRST = Number(process.env.SEED ?? 1);
const SEEDS = Number(process.env.SEEDS ?? 6);
const DEADLINE_MS = 120_000;
const ROUNDS = 4;

const warned: string[] = [];
const log: TreeLog = {
  info: () => {},
  warn: (about, message) => warned.push(`${message}: ${JSON.stringify(about)}`),
};
const skip = whyNotHere();

for (let seed = FIRST; seed < FIRST + SEEDS; seed++) {
  const walk = seed % 4 === 0;
  const name = `a tree that changes at random, ${walk ? 'walked through' : 'watched'}`;
  t.test(`${name}, arrives exactly as it is at the freeze (seed ${seed})`, { skip }, async (t) => {
    // Not on tmpfs, which knows fewer attributes.
    const dir = await mkdtemp('/var/tmp/holdfast-files-');
    t.teardown(() => rm(dir, { recursive: true, force: true }));
    const [here, there, outside] = [join(dir, 'here'), join(dir, 'there'), join(dir, 'outside')];
    for (const each of [here, there, outside]) mkdirSync(each);
    const signal = AbortSignal.timeout(DEADLINE_MS);
    const random = seeded(seed);
    const changes = new RandomChanges(here, outside, random);
    const done: string[] = [];
    const change = (count: number) => {
      for (let i = 0; i < count; i++) done.push(changes.change());
    };
    change(60);
    const tree = await MovingTree.open(here, { log, signal, walk });
    t.teardown(() => tree.close());

    const ready: Promise<unknown>[] = [];
    const getReady = async () => {
      const [near, far] = await streamPair();
      ready.push(receiveTree(there, far, { signal }));
      await tree.getReady(async () => near, signal);
    };
    const pass = async (running: boolean, meanwhile: () => Promise<void> = async () => {}) => {
      let received: Promise<unknown> = Promise.resolve();
      const open = async () => {
        const [near, far] = await streamPair();
        received = receiveTree(there, far, { signal });
        received.catch(() => {}); // Of an attempt that fell apart.
        return near;
      };
      changes.settle();
      await Promise.all([tree.pass(open, { signal, running }), meanwhile()]);
      await received;
    };

    for (let round = 0; round < ROUNDS; round++) {
      for (let passes = random(3); passes >= 0; passes--) {
        change(random(15));
        await pass(true, async () => {
          for (let i = random(30); i > 0; i--) {
            change(1);
            await new Promise(setImmediate);
          }
        });
        done.push('-- passed');
      }
      const isReady = random(3) > 0;
      if (isReady) await getReady();
      change(random(25));
      await pass(false);
      await Promise.all(ready);
      done.push(isReady ? '-- frozen, was ready' : '-- frozen');
      const differing = differences(fullListing(here), fullListing(there));
      t.same(differing, [], `round ${round}`);
      if (differing.length > 0) return t.comment(done.slice(-100).join('\n'));
    }
  });
}

t.test('none of this was beyond watching', async (t) => {
  t.same(warned, []);
});
