import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtemp, readdir, rmdir, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import t from 'tap';
import { ImageSpool } from '../../../../../migrator/engine/docker/image/spool.ts';
import { digestOf } from './made-up-engine.ts';

const isRoot = process.getuid?.() === 0;
const DAY_MS = 24 * 60 * 60 * 1000;
const soon = () => AbortSignal.timeout(10_000);

t.test('what is left in the spool goes when it is old, unless it is what comes next', async (t) => {
  const dir = t.testdir({});
  const blobs = { old: randomBytes(10), young: randomBytes(10), wanted: randomBytes(10) };
  for (const blob of Object.values(blobs)) await writeFile(path.join(dir, nameOf(blob)), blob.subarray(0, 5));
  const longAgo = new Date(Date.now() - 4 * DAY_MS);
  for (const blob of [blobs.old, blobs.wanted]) await utimes(path.join(dir, nameOf(blob)), longAgo, longAgo);
  const spool = new ImageSpool(dir);
  await spool.take([digestOf(blobs.wanted)], soon());
  const [wanted] = await spool.open([digestOf(blobs.wanted)], soon());
  t.equal(wanted?.sizeBytes, 5);
  t.same((await readdir(dir)).sort(), [nameOf(blobs.wanted), nameOf(blobs.young)].sort());
});

t.test('a blob goes on in the middle, from scratch, and is whole by its digest alone', async (t) => {
  const spool = new ImageSpool(path.join(t.testdir({}), 'spool'));
  const content = randomBytes(100_000);
  const take = async () => {
    const [blob] = await spool.open([digestOf(content)], soon());
    if (!blob) throw new Error('nothing was opened');
    return blob;
  };
  const first = await take();
  t.equal(first.whole, false);
  await first.begin(0);
  await first.append(content.subarray(0, 60_000));
  t.equal(await first.finish(), false);

  const second = await take();
  t.equal(second.sizeBytes, 60_000);
  await second.begin(60_000);
  await second.append(content.subarray(60_000));
  t.equal(await second.finish(), true);
  t.equal((await take()).whole, true);

  await second.begin(0);
  await second.append(content);
  t.equal(await second.finish(), true);
  t.equal((await take()).sizeBytes, 100_000);
});

t.test('blobs that another image has in hand are waited for, and no others', async (t) => {
  const spool = new ImageSpool(t.testdir({}));
  const release = await spool.take(['one', 'two'], soon());
  t.ok(await spool.take(['three'], soon()));
  const calledOff = new AbortController();
  const inVain = spool.take(['two', 'four'], calledOff.signal);
  calledOff.abort(new Error('called off'));
  await t.rejects(inVain, { message: 'called off' });
  const waiting = spool.take(['two', 'four'], soon());
  release?.();
  t.equal(await waiting, undefined, 'to look again at what is lacking');
  t.ok(await spool.take(['two', 'four'], soon()));
});

t.test('a disk that is full, or would be, is told', { skip: !isRoot }, async (t) => {
  const dir = await mkdtemp(path.join(tmpdir(), 'holdfast-test-'));
  await promisify(execFile)('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'holdfast-test', dir]);
  t.teardown(async () => {
    await promisify(execFile)('umount', ['-l', dir]);
    await rmdir(dir);
  });
  const spool = new ImageSpool(dir);
  await t.rejects(spool.expect(1), { code: 'LAYERS_DISK_FULL' }, 'some of it is never taken');
  const content = randomBytes(2 << 20);
  const [blob] = await spool.open([digestOf(content)], soon());
  await blob?.begin(0);
  await t.rejects(blob?.append(content) ?? Promise.resolve(), { code: 'LAYERS_DISK_FULL', retryable: false });
  await spool.remove(blob ? [blob] : []);
  t.same(await readdir(dir), []);
});

function nameOf(blob: Buffer): string {
  return digestOf(blob).replace(':', '-');
}
