import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import type { Socket } from 'node:net';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { MovingTree } from '../../../migrator/files/moving-tree.ts';
import { isEmpty } from '../../../migrator/files/paths.ts';
import { receiveTree } from '../../../migrator/files/receive-tree.ts';
import { sendTree } from '../../../migrator/files/send-pass.ts';
import { layProbe, takeProbe, wasTaken } from '../../../migrator/files/shared-storage.ts';
import { Kind, Wire } from '../../../migrator/files/wire.ts';
import { linkStalled } from '../../../migrator/transfer/errors.ts';
import { differences, fullListing } from './listing.ts';
import { rsyncsIn } from './rsyncs-in.ts';
import { streamPair } from './stream-pair.ts';
import { whyNotHere } from './why-not-here.ts';

const DEADLINE_MS = 60_000;
const MIB = 1024 * 1024;
const skip = whyNotHere();
const log = { info: () => {}, warn: () => {} };

async function twoTrees(t: Test) {
  const dir = await mkdtemp('/var/tmp/holdfast-files-');
  t.teardown(() => rm(dir, { recursive: true, force: true }));
  const [here, there] = [join(dir, 'here'), join(dir, 'there')];
  for (const each of [here, there]) mkdirSync(each);
  return { dir, here, there, signal: AbortSignal.timeout(DEADLINE_MS) };
}

type Outcome = { code?: unknown } | 'fine';
const outcomeOf = (promise: Promise<unknown>): Promise<Outcome> =>
  promise.then(
    () => 'fine',
    (error: { code?: unknown }) => error,
  );
const codeOf = (outcome: Outcome) => (outcome === 'fine' ? outcome : outcome.code);

t.test('a stream that breaks fails both ends and is taken up by the next pass', { skip }, async (t) => {
  const { dir, here, there, signal } = await twoTrees(t);
  for (let i = 0; i < 40; i++) writeFileSync(join(here, `f${i}`), randomBytes(MIB / 2));
  const tree = await MovingTree.open(here, { log, signal });
  t.teardown(() => tree.close());
  let received: Promise<Outcome> = Promise.resolve('fine');
  const open = (breakAfterBytes: number) => async (): Promise<Socket> => {
    const [near, far] = await streamPair();
    let bytes = 0;
    far.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes > breakAfterBytes) far.destroy();
    });
    far.pause();
    received = outcomeOf(receiveTree(there, far, { signal }));
    return near;
  };
  t.equal(codeOf(await outcomeOf(tree.pass(open(8 * MIB), { signal, running: true }))), 'LINK_BROKEN');
  t.equal(codeOf(await received), 'LINK_BROKEN');
  t.same(rsyncsIn(dir), []);
  const arrived = readdirSync(there).filter((name) => /^f\d+$/.test(name)).length;
  t.ok(arrived > 0 && arrived < 40, 'a part of it has arrived');
  const { sentBytes } = await tree.pass(open(Number.POSITIVE_INFINITY), { signal, running: true });
  t.equal(await received, 'fine');
  t.same(differences(fullListing(here), fullListing(there)), []);
  t.ok(sentBytes < (41 - arrived) * (MIB / 2), 'what had arrived was not sent again');
});

t.test('a link that says why it ends is not told of in other words', { skip }, async (t) => {
  const { here, there, signal } = await twoTrees(t);
  writeFileSync(join(here, 'large'), randomBytes(8 * MIB));
  const [near, far] = await streamPair();
  const received = outcomeOf(receiveTree(there, far, { signal }));
  far.once('data', () => near.destroy(linkStalled('b', 100)));
  t.equal(codeOf(await outcomeOf(sendTree(here, near, { signal, running: true }))), 'LINK_STALLED');
  t.equal(codeOf(await received), 'LINK_BROKEN');
});

t.test(
  'a full destination is told as such at both ends, and the source is as it was',
  { skip },
  async (t) => {
    const { here, there, signal } = await twoTrees(t);
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=4m', 'full', there]);
    t.teardown(() => execFileSync('umount', ['-l', there]));
    writeFileSync(join(here, 'large'), randomBytes(8 * MIB));
    const before = fullListing(here);
    const [near, far] = await streamPair();
    const received = outcomeOf(receiveTree(there, far, { signal }));
    t.equal(codeOf(await outcomeOf(sendTree(here, near, { signal, running: true }))), 'FILES_DISK_FULL');
    t.not(await received, 'fine');
    t.same(differences(before, fullListing(here)), []);
    t.same(
      readdirSync(there).filter((name) => name.startsWith('.large')),
      [],
      'and the half of it that was there is gone',
    );
  },
);

t.test('a deadline ends both rsyncs before it is told', { skip }, async (t) => {
  const { dir, here, there } = await twoTrees(t);
  writeFileSync(join(here, 'large'), randomBytes(8 * MIB));
  const stop = new AbortController();
  const [near, far] = await streamPair();
  far.once('data', () => stop.abort(new Error('called off')));
  far.pause();
  const received = outcomeOf(receiveTree(there, far, { signal: stop.signal }));
  const sent = outcomeOf(sendTree(here, near, { signal: stop.signal, running: true }));
  t.equal(codeOf(await sent), 'DEADLINE');
  t.equal(codeOf(await received), 'DEADLINE');
  t.same(rsyncsIn(dir), []);
});

t.test('changes that the kernel dropped are found all the same', { skip }, async (t) => {
  const { here, there, signal } = await twoTrees(t);
  for (const name of ['a', 'b']) mkdirSync(join(here, name));
  const warned: string[] = [];
  const tree = await MovingTree.open(here, {
    log: { info: () => {}, warn: (_, message) => warned.push(message) },
    signal,
  });
  t.teardown(() => tree.close());
  const pass = async (running: boolean) => {
    const [near, far] = await streamPair();
    await Promise.all([
      receiveTree(there, far, { signal }),
      tree.pass(async () => near, { signal, running }),
    ]);
  };
  await pass(true);
  const [watcher = ''] = execFileSync('pgrep', ['-P', String(process.pid), 'inotifywait'], {
    encoding: 'utf8',
  }).split('\n');
  process.kill(Number(watcher), 'SIGSTOP');
  // Each makes two events at least; the queue holds 16,384 unless somebody has made it longer.
  const most = Number(readFileSync('/proc/sys/fs/inotify/max_queued_events', 'utf8'));
  for (let i = 0; i < most / 2 + 100; i++) writeFileSync(join(here, i % 2 === 0 ? 'a' : 'b', String(i)), 'x');
  process.kill(Number(watcher), 'SIGCONT');
  await pass(false);
  t.same(differences(fullListing(here), fullListing(there)), []);
  t.match(warned, [/changes of files were missed/]);
});

t.test('names that lead out of the tree are refused by the destination', { skip }, async (t) => {
  const { dir, there, signal } = await twoTrees(t);
  writeFileSync(join(dir, 'precious'), 'x');
  for (const path of ['../precious', '/etc/passwd', 'a/../../precious', './x', '']) {
    const [near, far] = await streamPair();
    const received = outcomeOf(receiveTree(there, far, { signal }));
    const wire = new Wire(near);
    await wire.sendJson(Kind.begin, { run: 'listed' });
    await wire.send(Kind.names, Buffer.from(`g${path}\0`));
    await wire.send(Kind.listed);
    t.equal(codeOf(await received), 'FILES_MISMATCH', path);
    near.destroy();
  }
  t.equal(readFileSync(join(dir, 'precious'), 'utf8'), 'x');
});

t.test(
  'storage is shared when the other end finds what this one laid, and this one sees it taken away',
  { skip },
  async (t) => {
    const { here, there } = await twoTrees(t);
    const prove = async (theirs: string) => {
      const probe = await layProbe(here);
      return { why: await takeProbe(theirs, probe), taken: await wasTaken(here, probe) };
    };
    t.match(await prove(here), { why: undefined, taken: true });
    t.match(await prove(there), { why: /does not see/, taken: false });
    t.ok((await isEmpty(here)) && (await isEmpty(there)), 'no probe is left');

    const probe = await layProbe(here);
    writeFileSync(join(there, probe.name), probe.content);
    t.equal(await takeProbe(there, probe), undefined, 'a copy of it is found');
    t.notOk(await wasTaken(here, probe), 'and told from it');
  },
);
