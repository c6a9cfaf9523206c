import { randomBytes } from 'node:crypto';
import { appendFile, mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import t from 'tap';
import { BufferStore } from '../../../migrator/transfer/buffers.ts';
import { CHUNK_BYTES } from '../../../migrator/transfer/frame.ts';
import { readImages } from '../../../migrator/transfer/image-reader.ts';
import { Traffic } from '../../../migrator/transfer/traffic.ts';
import { upload } from '../../../migrator/transfer/upload.ts';
import { alone } from './alone.ts';
import { type Loopback, loopback } from './loopback.ts';

const signal = AbortSignal.timeout(20_000);

/** Send a directory that is complete when `written` settles; `onData` hears of every piece of data before it is sent. */
function send(ends: Loopback, written: Promise<void>, onData: () => void = () => {}) {
  return upload({
    link: ends.link(),
    flow: alone(),
    traffic: Traffic.difference,
    path: '/images',
    async *pieces(buffers, stop) {
      for await (const piece of readImages(ends.inDir, buffers, { written, signal: stop })) {
        if (piece.type === 'data') onData();
        yield piece;
      }
    },
    codec: undefined,
    stallMs: 10_000,
    signal,
  });
}

t.test(
  'two files that grow while they are sent arrive whole, and their beginning leaves before their end is written',
  async (t) => {
    const ends = await loopback(t);
    const contents = { pages: randomBytes(5 * CHUNK_BYTES + 77), 'sub/more': randomBytes(4 * CHUNK_BYTES) };
    await mkdir(path.join(ends.inDir, 'sub'));
    let heard = () => {};
    const write = async () => {
      for (let at = 0; at < 6 * CHUNK_BYTES; at += CHUNK_BYTES) {
        const sent = new Promise<void>((resolve) => {
          heard = resolve;
        });
        for (const [name, content] of Object.entries(contents)) {
          await appendFile(path.join(ends.inDir, name), content.subarray(at, at + CHUNK_BYTES));
        }
        if (at < 4 * CHUNK_BYTES) await sent;
      }
      await writeFile(path.join(ends.inDir, 'small'), 'at the end');
    };
    const { imageBytes } = await send(ends, write(), () => heard());
    t.equal(imageBytes, 9 * CHUNK_BYTES + 77 + 10);
    for (const [name, content] of Object.entries({ ...contents, small: Buffer.from('at the end') })) {
      t.ok((await readFile(path.join(ends.outDir, name))).equals(content), name);
    }
  },
);

t.test(
  'a checkpoint that fails while it is sent is told as that failure, and is not taken for a whole one',
  async (t) => {
    const ends = await loopback(t);
    await writeFile(path.join(ends.inDir, 'pages'), randomBytes(2 * CHUNK_BYTES));
    let fail = () => {};
    const written = new Promise<void>((_, reject) => {
      fail = () => reject(new Error('the dump failed'));
    });
    await t.rejects(
      send(ends, written, () => fail()),
      { message: 'the dump failed' },
    );
    t.match(await ends.outcomes[0], { name: 'HoldfastError' });
  },
);

t.test('no more files are open than are being read', async (t) => {
  const dir = t.testdir(Object.fromEntries(Array.from({ length: 50 }, (_, n) => [`core-${n}`, `${n}`])));
  const openFiles = async () => (await readdir('/proc/self/fd')).length;
  const before = await openFiles();
  let most = 0;
  const buffers = new BufferStore({ sizeBytes: CHUNK_BYTES, keep: 2 });
  for await (const piece of readImages(dir, buffers, { signal })) {
    if (piece.type === 'file-end') most = Math.max(most, (await openFiles()) - before);
  }
  t.ok(most < 5, `${most} more`);
});

t.test('waiting for more ends with the signal', async (t) => {
  const stop = new AbortController();
  const pieces = readImages(t.testdir({}), new BufferStore({ sizeBytes: CHUNK_BYTES, keep: 1 }), {
    written: new Promise(() => {}),
    signal: stop.signal,
  });
  const next = pieces.next();
  stop.abort(new Error('called off'));
  await t.rejects(next, { message: 'called off' });
});
