import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdirSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import type { Socket } from 'node:net';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { MovingTree } from '../../../migrator/files/moving-tree.ts';
import { type Received, receiveTree } from '../../../migrator/files/receive-tree.ts';
import { differences, fullListing } from './listing.ts';
import { rsyncsIn } from './rsyncs-in.ts';
import { streamPair } from './stream-pair.ts';
import { whyNotHere } from './why-not-here.ts';

const DEADLINE_MS = 60_000;
const skip = whyNotHere();
const log = { info: () => {}, warn: () => {} };

/** A tree that was sent once, and whose last pass stands ready. */
async function readyTree(t: Test) {
  const dir = await mkdtemp('/var/tmp/holdfast-files-');
  t.teardown(() => rm(dir, { recursive: true, force: true }));
  const [here, there] = [join(dir, 'here'), join(dir, 'there')];
  for (const each of [here, there]) mkdirSync(each);
  for (let i = 0; i < 20; i++) writeFileSync(join(here, `f${i}`), randomBytes(1000));
  const signal = AbortSignal.timeout(DEADLINE_MS);
  const received: Promise<Received | { code?: unknown }>[] = [];
  const farEnds: Socket[] = [];
  const open = async () => {
    const [near, far] = await streamPair();
    farEnds.push(far);
    received.push(receiveTree(there, far, { signal }).catch((error: { code?: unknown }) => error));
    return near;
  };
  const tree = await MovingTree.open(here, { log, signal });
  t.teardown(() => tree.close());
  await tree.pass(open, { signal, running: true });
  const standing = new AbortController();
  await tree.getReady(open, standing.signal);
  const last = () => tree.pass(open, { signal, running: false });
  const same = () => t.same(differences(fullListing(here), fullListing(there)), []);
  return { dir, here, received, farEnds, tree, standing, last, same };
}

t.test('what stands ready sends what has changed since, on the stream it has', { skip }, async (t) => {
  const { dir, here, received, last, same } = await readyTree(t);
  writeFileSync(join(here, 'f1'), 'changed');
  writeFileSync(join(here, 'new'), 'new');
  rmSync(join(here, 'f2'));
  const { sentBytes } = await last();
  t.equal(received.length, 2, 'no other stream was opened');
  t.match(await received[1], { hasChanged: true, receivedBytes: sentBytes });
  same();
  t.same(rsyncsIn(dir), []);
});

t.test('the destination knows when what stood ready was not needed', { skip }, async (t) => {
  const { dir, received, last, same } = await readyTree(t);
  await last();
  t.match(await received[1], { hasChanged: false });
  same();
  t.same(rsyncsIn(dir), []);
});

t.test('files with holes go their own way, and keep them', { skip }, async (t) => {
  const { dir, here, received, last, same } = await readyTree(t);
  writeFileSync(join(here, 'f1'), 'changed');
  truncateSync(join(here, 'f2'), 1 << 20);
  await last();
  t.match(await received[1], { hasChanged: false });
  t.equal(received.length, 3);
  same();
  const blocks = execFileSync('stat', ['-c', '%b', join(dir, 'there', 'f2')], { encoding: 'utf8' });
  t.ok(Number(blocks) < 1024, 'its holes are holes there');
});

t.test('what stood ready and broke is not needed for the last pass', { skip }, async (t) => {
  const { dir, here, received, farEnds, last, same } = await readyTree(t);
  farEnds[1]?.destroy();
  t.match(await received[1], { code: 'LINK_BROKEN' });
  writeFileSync(join(here, 'f1'), 'changed');
  for (const pid of rsyncsIn(here)) process.kill(Number(pid), 'SIGKILL');
  while (rsyncsIn(here).length > 0) await new Promise(setImmediate);
  await last();
  same();
  t.same(rsyncsIn(dir), []);
});

t.test(
  'a stream that breaks under the last pass fails it, and the next one is whole',
  { skip },
  async (t) => {
    const { dir, here, received, farEnds, last, same } = await readyTree(t);
    writeFileSync(join(here, 'large'), randomBytes(16 << 20));
    const [, far] = farEnds;
    far?.on('data', () => {
      if (far.bytesRead > 1 << 20) far.destroy();
    });
    await t.rejects(last(), { code: 'LINK_BROKEN' });
    t.match(await received[1], { code: 'LINK_BROKEN' });
    t.same(rsyncsIn(dir), []);
    await last();
    same();
  },
);

for (const [how, end] of [
  ['is closed', async ({ tree }: Awaited<ReturnType<typeof readyTree>>) => tree.close()],
  [
    'has stood for too long',
    async ({ standing, received }: Awaited<ReturnType<typeof readyTree>>) => {
      standing.abort(new Error('too long'));
      await received[1];
    },
  ],
] as const) {
  t.test(`no rsync is left of a tree that ${how}`, { skip }, async (t) => {
    const ready = await readyTree(t);
    t.not(rsyncsIn(ready.dir).length, 0, 'there were some');
    await end(ready);
    t.match(await ready.received[1], { code: 'LINK_BROKEN' });
    // The source's own may still be on its way out when its stream is gone.
    while (rsyncsIn(ready.dir).length > 0) await new Promise(setImmediate);
  });
}

t.test('a destination that ends takes what stands ready with it', { skip }, async (t) => {
  const { dir, tree } = await readyTree(t);
  const [near, far] = await streamPair();
  const stop = new AbortController();
  const received = receiveTree(join(dir, 'there'), far, { signal: stop.signal });
  const closed = new Promise((resolve) => near.once('close', resolve));
  await tree.getReady(async () => near, AbortSignal.timeout(DEADLINE_MS));
  stop.abort(new Error('called off'));
  await t.rejects(received, { code: 'DEADLINE' });
  await closed;
  while (rsyncsIn(dir).length > 0) await new Promise(setImmediate);
});
