import { randomBytes, randomInt } from 'node:crypto';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import t from 'tap';
import type { EngineImages } from '../../../../../migrator/engine/docker/image/engine-images.ts';
import { savedBlobs } from '../../../../../migrator/engine/docker/image/saved-image.ts';
import { blobPath, digestOf, packed } from './made-up-engine.ts';

const ID = `sha256:${'0'.repeat(64)}`;

/** Read what is wanted of an archive that comes in the pieces given. */
async function read(pieces: Iterable<Buffer>, wanted: readonly string[]): Promise<Map<string, Buffer>> {
  const images = { save: async () => Readable.from(pieces) } as unknown as EngineImages;
  const found = new Map<string, Buffer>();
  const signal = AbortSignal.timeout(10_000);
  for await (const { digest, sizeBytes, content } of savedBlobs(images, ID, wanted, signal)) {
    found.set(digest, await buffer(content));
    t.equal(found.get(digest)?.length, sizeBytes);
  }
  return found;
}

function* cutAnyhow(whole: Buffer): Generator<Buffer> {
  for (let at = 0; at < whole.length; ) {
    const sizeBytes = randomInt(2) ? randomInt(1, 40) : randomInt(1, 20_000);
    yield whole.subarray(at, at + sizeBytes);
    at += sizeBytes;
  }
}

t.test('whatever is in an archive, and however it is cut, exactly what is wanted is read', async (t) => {
  for (let round = 0; round < 60; round++) {
    const blobs = Array.from({ length: randomInt(1, 8) }, () =>
      randomBytes(randomInt(0, 3) * randomInt(3000)),
    );
    const others = [
      ['manifest.json', Buffer.from('[]')],
      ['oci-layout', Buffer.from('{}')],
      [`blobs/sha256/${'x'.repeat(randomInt(1, 80))}`, randomBytes(randomInt(2000))],
    ] as const;
    const files = [...blobs.map((blob) => [blobPath(digestOf(blob)), blob] as const), ...others];
    files.sort(() => randomInt(3) - 1);
    const wanted = blobs.filter(() => randomInt(2) === 1);
    const found = await read(cutAnyhow(await buffer(packed(files))), wanted.map(digestOf));
    t.same(new Set(found.keys()), new Set(wanted.map(digestOf)));
    for (const blob of wanted) t.ok(found.get(digestOf(blob))?.equals(blob));
  }
});

t.test('no more of an archive is read than is wanted', async (t) => {
  const blob = randomBytes(5000);
  const whole = await buffer(packed([[blobPath(digestOf(blob)), blob]]));
  let read512 = 0;
  function* endless(): Generator<Buffer> {
    yield whole.subarray(0, -1024);
    for (;;) {
      read512++;
      yield whole.subarray(0, 512);
      if (read512 > 10_000) throw new Error('it is read on and on');
    }
  }
  t.equal((await read(endless(), [digestOf(blob)])).size, 1);
});

t.test('an archive that is cut, is none, or lacks what is wanted is told', async (t) => {
  const blob = randomBytes(5000);
  const whole = await buffer(packed([[blobPath(digestOf(blob)), blob]]));
  const told = { code: 'LAYERS_UNAVAILABLE' };
  await t.rejects(read([whole], [ID]), told);
  await t.rejects(read([whole.subarray(0, 300)], [digestOf(blob)]), told, 'in a header');
  await t.rejects(read([whole.subarray(0, 3000)], [digestOf(blob)]), told, 'in a file');
  await t.rejects(read([Buffer.from('{"error":"no'.padEnd(2000))], [digestOf(blob)]), told);
  await t.rejects(read([], [ID]), told);
});
