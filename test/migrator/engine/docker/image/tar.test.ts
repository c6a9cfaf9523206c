import { randomBytes } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import t from 'tap';
import { filesOf } from '../../../../../migrator/engine/docker/image/tar.ts';
import { decodeTarHeader, encodeTarHeader } from '../../../../../migrator/engine/docker/image/tar-header.ts';
import { run } from '../../../../../migrator/process.ts';
import { packed } from './made-up-engine.ts';

const soon = () => AbortSignal.timeout(10_000);

t.test('what tar packs is read, in every format that has plain files', async (t) => {
  const dir = t.testdir({});
  const names = ['short', `${'d'.repeat(90)}/${'e'.repeat(90)}`];
  const contents = names.map((_, at) => randomBytes(at * 1000 + 700));
  for (const [at, name] of names.entries()) {
    await mkdir(path.dirname(path.join(dir, 'in', name)), { recursive: true });
    await writeFile(path.join(dir, 'in', name), contents[at] ?? '');
  }
  for (const format of ['ustar', 'pax', 'posix']) {
    const file = path.join(dir, `${format}.tar`);
    await run('tar', [`--format=${format}`, '-cf', file, '-C', path.join(dir, 'in'), ...names], {
      signal: soon(),
    });
    const found = new Map<string, Buffer>();
    for await (const { name, content } of filesOf(createReadStream(file))) {
      found.set(name, await buffer(content));
    }
    t.same([...found.keys()], names, format);
    t.ok(names.every((name, at) => found.get(name)?.equals(contents[at] ?? Buffer.alloc(0))));
  }
});

t.test('what is packed is read by tar', async (t) => {
  const dir = t.testdir({});
  const files = [0, 1, 512, 70_000].map((size) => [`f${size}`, randomBytes(size)] as const);
  await writeFile(path.join(dir, 'a.tar'), packed(files));
  await run('tar', ['-xf', 'a.tar'], { signal: soon(), cwd: dir });
  for (const [name, content] of files) t.ok((await readFile(path.join(dir, name))).equals(content), name);
});

t.test('a file may be larger than eleven octal digits say', async (t) => {
  for (const sizeBytes of [0, 2 ** 33 - 1, 2 ** 33, 2 ** 40 + 3]) {
    t.same(decodeTarHeader(encodeTarHeader('x', sizeBytes)), { name: 'x', sizeBytes, type: '0' });
  }
});

t.test('the archive is closed when no more of it is asked for', async (t) => {
  const archive = packed([
    ['a', randomBytes(100_000)],
    ['b', randomBytes(100_000)],
  ]);
  for await (const { name } of filesOf(archive)) {
    t.equal(name, 'a');
    break;
  }
  t.equal(archive.destroyed, true);
});

t.test('an archive that fails, is cut or damaged is told', async (t) => {
  const whole = await buffer(packed([['a', randomBytes(5000)]]));
  const read = async (...pieces: (Buffer | Error)[]) => {
    const source = Readable.from(
      (function* () {
        for (const piece of pieces) {
          if (piece instanceof Error) throw piece;
          yield piece;
        }
      })(),
    );
    for await (const { content } of filesOf(source)) await buffer(content);
  };
  await read(whole);
  await t.rejects(read(whole.subarray(0, 300)), 'in a header');
  await t.rejects(read(whole.subarray(0, 3000)), 'in a file');
  await t.rejects(read(whole.subarray(0, 512 + 5000 + 1)), 'in what follows it');
  await t.rejects(read(whole.subarray(0, 700), new Error('gone')), { message: 'gone' });
  await t.rejects(read(Buffer.concat([Buffer.from('A'), whole.subarray(1)])), 'another checksum');
  await t.rejects(read());
});
