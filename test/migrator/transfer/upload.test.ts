import { randomBytes } from 'node:crypto';
import { mkdir, readFile, stat, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import t from 'tap';
import { codecs } from '../../../migrator/transfer/codec.ts';
import { readImages } from '../../../migrator/transfer/image-reader.ts';
import type { Link } from '../../../migrator/transfer/link.ts';
import { Traffic } from '../../../migrator/transfer/traffic.ts';
import { upload } from '../../../migrator/transfer/upload.ts';
import { alone } from './alone.ts';
import { loopback, relay } from './loopback.ts';

const MIB = 1 << 20;

function uploadImages(link: Link, dir: string, options: { codec?: undefined; stallMs?: number } = {}) {
  const codec = 'codec' in options ? options.codec : codecs[0];
  return upload({
    link,
    flow: alone(),
    traffic: Traffic.difference,
    path: '/images',
    pieces: (buffers, signal) => readImages(dir, buffers, { signal }),
    codec,
    stallMs: options.stallMs ?? 10_000,
    signal: AbortSignal.timeout(30_000),
  });
}

t.test('files of every kind arrive as they were', async (t) => {
  const { inDir, outDir, link } = await loopback(t);
  const files: Record<string, Buffer> = {
    empty: Buffer.alloc(0),
    'one byte': Buffer.from('x'),
    random: randomBytes(3 * MIB + 1),
    zeros: Buffer.alloc(5 * MIB),
    text: Buffer.from('the same again and again '.repeat(200_000)),
    patches: Buffer.concat([
      Buffer.alloc(100_000),
      randomBytes(70_000),
      Buffer.alloc(900_000),
      randomBytes(1),
    ]),
    'sub/dir/ünïcode': Buffer.from('deep'),
  };
  await mkdir(path.join(inDir, 'sub/dir'), { recursive: true });
  for (const [name, content] of Object.entries(files)) await writeFile(path.join(inDir, name), content);
  const { imageBytes } = await uploadImages(link(), inDir);
  t.equal(
    imageBytes,
    Object.values(files).reduce((sum, content) => sum + content.length, 0),
  );
  for (const [name, content] of Object.entries(files)) {
    t.ok((await readFile(path.join(outDir, name))).equals(content), name);
  }
  t.ok((await stat(path.join(outDir, 'zeros'))).blocks * 512 < MIB, 'zeros take no room');
});

t.test('what went over the wire is counted whole, and zeros cost nearly nothing', async (t) => {
  const { inDir, link } = await loopback(t);
  await writeFile(path.join(inDir, 'zeros'), Buffer.alloc(32 * MIB));
  const zeros = link();
  await uploadImages(zeros, inDir);
  t.ok(zeros.bytesSent < 64 * 1024, `${zeros.bytesSent} bytes for 32 MiB`);
});

t.test('what does not shrink travels as it is, at the price of TLS', async (t) => {
  const { inDir, link } = await loopback(t);
  await writeFile(path.join(inDir, 'random'), randomBytes(4 * MIB));
  const random = link();
  await uploadImages(random, inDir);
  t.ok(random.bytesSent > 4 * MIB);
  t.ok(random.bytesSent < 4.1 * MIB);
});

t.test('without a common codec everything travels as it is', async (t) => {
  const { inDir, outDir, link } = await loopback(t);
  const text = Buffer.alloc(MIB, 'abc');
  await writeFile(path.join(inDir, 'text'), text);
  const plain = link();
  await uploadImages(plain, inDir, { codec: undefined });
  t.ok(plain.bytesSent > MIB);
  t.ok((await readFile(path.join(outDir, 'text'))).equals(text));
});

t.test('more than was admitted is refused before it is written', async (t) => {
  const { inDir, outDir, link } = await loopback(t, { limitBytes: MIB });
  await writeFile(path.join(inDir, 'a'), Buffer.alloc(MIB - 1, 'a'));
  await writeFile(path.join(inDir, 'b'), Buffer.alloc(8 * MIB, 'b'));
  await t.rejects(uploadImages(link(), inDir), { code: 'IMAGES_TOO_LARGE' });
  const sizes = await Promise.all(['a', 'b'].map(async (name) => (await stat(path.join(outDir, name))).size));
  t.ok(sizes.reduce((sum, size) => sum + size, 0) <= MIB);
});

t.test('a link in the checkpoint is not followed', async (t) => {
  const { inDir, link } = await loopback(t);
  await symlink('/etc/hostname', path.join(inDir, 'link'));
  await t.rejects(uploadImages(link(), inDir), { code: 'IMAGES_UNSENDABLE' });
});

t.test('a link that carries nothing more is noticed', async (t) => {
  const { inDir, port, link } = await loopback(t);
  await writeFile(path.join(inDir, 'random'), randomBytes(8 * MIB));
  const middle = await relay(t, port);
  middle.cutAfter(2 * MIB);
  await t.rejects(uploadImages(link(middle.port), inDir, { stallMs: 300 }), {
    code: 'LINK_STALLED',
    retryable: true,
  });
});

t.test('a link cut after the last byte left is noticed as well', async (t) => {
  const { inDir, port, link } = await loopback(t);
  await writeFile(path.join(inDir, 'small'), randomBytes(1000));
  const middle = await relay(t, port);
  const ready = link(middle.port);
  await ready.open(AbortSignal.timeout(5_000));
  middle.cutAfter(0);
  await t.rejects(uploadImages(ready, inDir, { stallMs: 300 }), { code: 'LINK_STALLED' });
});

t.test('a connection that died while it stood ready is replaced', async (t) => {
  const { inDir, outcomes, link } = await loopback(t);
  await writeFile(path.join(inDir, 'small'), 'small');
  const ready = link();
  await ready.open(AbortSignal.timeout(5_000));
  const before = ready.bytesSent;
  ready.close();
  await uploadImages(ready, inDir);
  t.match(await outcomes.at(-1), { imageBytes: 5 });
  t.ok(ready.bytesSent > before, 'both connections count');
});

t.test('an upload that is called off ends with its reason, and the other end hears of it', async (t) => {
  const { inDir, outcomes, port, link } = await loopback(t);
  await writeFile(path.join(inDir, 'random'), randomBytes(8 * MIB));
  const middle = await relay(t, port);
  middle.cutAfter(MIB);
  const stop = new AbortController();
  const ready = link(middle.port);
  await ready.open(stop.signal);
  const sending = upload({
    link: ready,
    flow: alone(),
    traffic: Traffic.difference,
    path: '/images',
    pieces: (buffers, signal) => readImages(inDir, buffers, { signal }),
    codec: undefined,
    stallMs: 10_000,
    signal: stop.signal,
  });
  stop.abort(new Error('called off'));
  await t.rejects(sending, { message: 'called off' });
  t.notOk(ready.isOpen);
  t.ok(outcomes.length <= 1);
});
