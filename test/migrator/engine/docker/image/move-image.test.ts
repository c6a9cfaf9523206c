import { randomBytes, randomInt } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { mkdir, readdir, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import t, { type Test } from 'tap';
import type { ImageSent } from '../../../../../migrator/engine/docker/image/send-image.ts';
import { digestOf, MadeUpEngine, type MadeUpImage } from './made-up-engine.ts';
import { type TwoEnds, twoEnds } from './two-ends.ts';

const MIB = 1024 ** 2;
/** More than every question and answer, and less than any layer. */
const TALK_BYTES = 8 * 1024;

interface World extends TwoEnds {
  readonly here: MadeUpEngine;
  readonly there: MadeUpEngine;
  /** Move it, which must go well. */
  arrive(image: MadeUpImage): Promise<ImageSent>;
}

async function world(t: Test): Promise<World> {
  const [here, there] = await Promise.all([MadeUpEngine.start(t), MadeUpEngine.start(t)]);
  const ends = twoEnds(t, { from: here.docker, to: there.docker });
  return {
    ...ends,
    here,
    there,
    async arrive(image) {
      const { sent, received } = await ends.move(image.id);
      if (sent instanceof Error) throw sent;
      if (received instanceof Error) throw received;
      t.ok(there.has(image), 'the image is there');
      t.same(await readdir(ends.spoolDir).catch(() => []), [], 'nothing is left in the spool');
      return sent;
    },
  };
}

t.test('an image that the destination has nothing of arrives whole, by its name', async (t) => {
  const { here, there, arrive } = await world(t);
  const image = here.build(
    [randomBytes(3 * MIB), randomBytes(700), Buffer.alloc(1024)],
    'shop:1',
    'shop:new',
  );
  const sent = await arrive(image);
  t.equal(sent.layersSent, 3);
  t.same([...sent.names].sort(), ['shop:1', 'shop:new']);
  t.equal(there.names.get('shop:1'), image.id);
});

t.test('an image that the destination has costs the question, and gets its names', async (t) => {
  const { here, there, arrive } = await world(t);
  const layers = [randomBytes(MIB), randomBytes(MIB)];
  const image = here.build(layers, 'shop:1');
  there.build(layers);
  const sent = await arrive(image);
  t.equal(sent.layersSent, 0);
  t.ok(sent.bytesSent < TALK_BYTES, `${sent.bytesSent} bytes`);
  t.equal(there.names.get('shop:1'), image.id);
  t.notOk(
    here.asked.some((route) => route.endsWith('/get')),
    'nothing was saved for it',
  );
});

t.test('an image that differs in its top layer costs that layer', async (t) => {
  const { here, there, arrive } = await world(t);
  const base = [randomBytes(2 * MIB), randomBytes(MIB)];
  there.build([...base, randomBytes(MIB)], 'shop:1');
  const sent = await arrive(here.build([...base, randomBytes(300_000)], 'shop:2'));
  t.equal(sent.layersSent, 1);
  t.ok(sent.bytesSent > 300_000 && sent.bytesSent < 300_000 + TALK_BYTES, `${sent.bytesSent} bytes`);
});

t.test('layers that the destination has on another base are taken from there', async (t) => {
  const { here, there, arrive } = await world(t);
  const shared = [randomBytes(MIB), randomBytes(MIB)];
  there.build([randomBytes(MIB), ...shared]);
  const sent = await arrive(here.build([randomBytes(200_000), ...shared]));
  t.equal(sent.layersSent, 1);
  t.ok(sent.bytesSent < 200_000 + TALK_BYTES, `${sent.bytesSent} bytes`);
});

t.test('a layer that an image has several times crosses once', async (t) => {
  const { here, arrive } = await world(t);
  const twice = randomBytes(400_000);
  const sent = await arrive(here.build([twice, randomBytes(100), twice]));
  t.ok(sent.bytesSent < 400_000 + TALK_BYTES, `${sent.bytesSent} bytes`);
});

t.test('an interrupted transfer goes on where it stopped', async (t) => {
  const { here, there, move, arrive, spoolDir } = await world(t);
  const image = here.build([randomBytes(MIB), randomBytes(8 * MIB)]);
  const { sent, received } = await move(image.id, { cutAfterBytes: 4.5 * MIB });
  t.match(sent, { code: 'LINK_BROKEN', retryable: true });
  t.match(received, { code: 'LINK_BROKEN', retryable: true });
  t.notOk(there.has(image));
  let keptBytes = 0;
  for (const name of await readdir(spoolDir)) keptBytes += (await stat(path.join(spoolDir, name))).size;
  t.ok(keptBytes > 3 * MIB, `${keptBytes} bytes were kept`);
  const { bytesSent } = await arrive(image);
  t.ok(bytesSent < 9 * MIB - keptBytes + TALK_BYTES, `${bytesSent} bytes after ${keptBytes} that were kept`);
});

t.test('what was kept and is wrong is asked for anew', async (t) => {
  const { here, arrive, spoolDir } = await world(t);
  await mkdir(spoolDir);
  for (const wrong of [randomBytes(1000), randomBytes(MIB), randomBytes(2 * MIB)]) {
    const layer = randomBytes(MIB);
    await writeFile(path.join(spoolDir, digestOf(layer).replace(':', '-')), wrong);
    const image = here.build([layer, randomBytes(10)]);
    const { bytesSent } = await arrive(image);
    t.ok(bytesSent > MIB && bytesSent < 2 * MIB + TALK_BYTES, `${bytesSent} bytes`);
  }
});

t.test('corrupted bytes are found, told at both ends, and not kept', async (t) => {
  const { here, there, move, arrive, spoolDir } = await world(t);
  const [good, bad] = [randomBytes(MIB), randomBytes(MIB)];
  const image = here.build([good, bad]);
  here.spoil = (blob) => (blob.equals(bad) ? Buffer.concat([blob.subarray(1), Buffer.from('x')]) : blob);
  const { sent, received } = await move(image.id);
  t.match(sent, { code: 'LAYER_DAMAGED' });
  t.match(received, { code: 'LAYER_DAMAGED' });
  t.notOk(there.has(image));
  t.notOk((await readdir(spoolDir)).includes(digestOf(bad).replace(':', '-')));
  here.spoil = (blob) => blob;
  await arrive(image);
});

t.test(
  'an image deleted at the destination in mid-move, with layers counted on, is made up for',
  async (t) => {
    const { here, there, arrive } = await world(t);
    const base = [randomBytes(MIB), randomBytes(MIB)];
    const other = there.build(base);
    there.onLoad = () => {
      there.delete(other);
      return undefined;
    };
    const sent = await arrive(here.build([...base, randomBytes(1000)], 'shop:1'));
    t.equal(sent.layersSent, 3);
  },
);

t.test('a layer that goes bad in the spool is found by Docker, and asked for anew', async (t) => {
  const { here, there, arrive, spoolDir } = await world(t);
  const layer = randomBytes(MIB);
  const spooled = path.join(spoolDir, digestOf(layer).replace(':', '-'));
  let loads = 0;
  there.onLoad = () => {
    loads++;
    if (loads === 1) writeFileSync(spooled, randomBytes(MIB));
    return undefined;
  };
  const { bytesSent } = await arrive(here.build([layer]));
  t.equal(loads, 2);
  t.ok(bytesSent > 2 * MIB && bytesSent < 2 * MIB + TALK_BYTES, `${bytesSent} bytes`);
});

t.test('an image that keeps being deleted ends in an error at both ends', async (t) => {
  const { here, there, move } = await world(t);
  const image = here.build([randomBytes(1000)], 'shop:1');
  there.onLoad = () => 'open /x: no such file or directory';
  const { sent, received } = await move(image.id);
  t.match(sent, { code: 'IMAGE_VANISHED', retryable: true });
  t.match(received, { code: 'IMAGE_VANISHED', retryable: true });
});

t.test('a name that another image has there is left to it', async (t) => {
  const { here, there, arrive } = await world(t);
  const other = there.build([randomBytes(1000)], 'shop:1');
  const image = here.build([randomBytes(1000)], 'shop:1', 'shop:2');
  const sent = await arrive(image);
  t.same(sent.names, ['shop:2']);
  t.same(sent.namesTaken, ['shop:1']);
  t.equal(there.names.get('shop:1'), other.id);
});

t.test("a full disk of Docker's is told, and given back what was taken", async (t) => {
  const { here, there, move, spoolDir } = await world(t);
  const image = here.build([randomBytes(1000)]);
  there.onLoad = () => 'write /var/lib/docker/tmp/x: no space left on device';
  const { sent, received } = await move(image.id);
  t.match(sent, { code: 'LAYERS_DISK_FULL', retryable: false });
  t.match(received, { code: 'LAYERS_DISK_FULL' });
  t.same(await readdir(spoolDir), []);
});

t.test('what Docker refuses to take in is told in its words', async (t) => {
  const { here, there, move } = await world(t);
  there.onLoad = () => 'cannot load windows image on linux';
  const { sent } = await move(here.build([randomBytes(10)]).id);
  t.match(sent, { code: 'IMAGE_LOAD_FAILED', message: /cannot load windows image/ });
});

t.test(
  'an image that is not there, and a Docker without layers by digest, are told at both ends',
  async (t) => {
    const { here, there, move } = await world(t);
    const nowhere = await move(`sha256:${'0'.repeat(64)}`);
    t.match(nowhere.sent, { code: 'IMAGE_NOT_FOUND' });
    t.match(nowhere.received, { code: 'IMAGE_NOT_FOUND' });
    const image = here.build([randomBytes(10)]);
    here.delete(here.build([randomBytes(20)]));
    there.delete(image);
    here.spoil = () => Buffer.alloc(0);
    const empty = await move(image.id);
    t.match(empty.received, { code: 'LAYER_DAMAGED' });
  },
);

t.test('a transfer that is called off ends at both ends, and can be made again', async (t) => {
  const { here, there, move, arrive } = await world(t);
  const image = here.build([randomBytes(4 * MIB)]);
  const stop = new AbortController();
  there.onLoad = () => {
    stop.abort(new Error('called off'));
    return 'never mind';
  };
  const { sent, received } = await move(image.id, { signal: stop.signal });
  t.match(sent, { message: 'called off' });
  t.match(received, { message: 'called off' });
  there.onLoad = () => undefined;
  const again = await arrive(image);
  t.equal(again.layersSent, 0, 'all of it had been kept');
});

t.test('a layer that two images need at once crosses once', async (t) => {
  const { here, there, move } = await world(t);
  const shared = randomBytes(2 * MIB);
  const images = [here.build([shared, randomBytes(10)]), here.build([shared, randomBytes(20)])];
  const moves = await Promise.all(images.map(({ id }) => move(id)));
  const bytes = moves.map(({ sent }) => (sent as ImageSent).bytesSent).sort((one, other) => one - other);
  t.ok(images.every((image) => there.has(image)));
  t.ok((bytes[0] ?? 0) < TALK_BYTES, `${bytes} bytes`);
});

t.test('whatever either end has, exactly the layers that the destination has nowhere cross', async (t) => {
  const { here, there, arrive } = await world(t);
  const pool = Array.from({ length: 8 }, () => randomBytes(randomInt(1, 3000)));
  const some = () => Array.from({ length: randomInt(1, 7) }, () => pool[randomInt(pool.length)] as Buffer);
  for (let round = 0; round < 40; round++) {
    const others = Array.from({ length: randomInt(3) }, () => there.build(some()));
    const image = here.build([...some(), randomBytes(randomInt(1, 600_000))]);
    const known = new Set(others.flatMap(({ layers }) => layers));
    const sent = await arrive(image);
    t.equal(sent.layersSent, image.layers.filter((layer) => !known.has(layer)).length);
    for (const gone of [...others, image]) there.delete(gone);
  }
});
