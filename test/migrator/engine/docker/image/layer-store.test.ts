import { createHash, randomBytes } from 'node:crypto';
import { mkdir, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { buffer } from 'node:stream/consumers';
import { gzipSync } from 'node:zlib';
import t from 'tap';
import { EngineImages } from '../../../../../migrator/engine/docker/image/engine-images.ts';
import type { ImageBlob } from '../../../../../migrator/engine/docker/image/image-blobs.ts';
import { LayerStore } from '../../../../../migrator/engine/docker/image/layer-store.ts';
import { APP_IMAGE, createDockerLab } from '../../../../lab/docker.ts';
import { whyNoLab } from '../../../../lab/needs-lab.ts';
import { digestOf } from './made-up-engine.ts';

const soon = () => AbortSignal.timeout(120_000);

async function digestRead(blob: ImageBlob | undefined): Promise<{ digest: string; sizeBytes: number }> {
  const hash = createHash('sha256');
  let sizeBytes = 0;
  for await (const piece of blob?.content ?? []) {
    hash.update(piece);
    sizeBytes += piece.length;
  }
  return { digest: `sha256:${hash.digest('hex')}`, sizeBytes };
}

t.test(
  'every blob of an image that Docker has is read from its store as it is',
  { skip: await whyNoLab(), timeout: 170_000 },
  async (t) => {
    const lab = await createDockerLab({ hosts: ['a'] });
    t.teardown(() => lab.down());
    const { api, host, docker } = lab.on('a');
    // Names of any bytes, links, holes and deletions, as a commit writes them down.
    const odd = `cd /srv; printf x >"$(printf 'a\\377b')"; ln server.mjs hard; ln -s /etc/passwd soft; rm ledger.mjs
      mkdir -p 'with space/ü'; cp server.mjs 'with space/ü/'; truncate -s 3M holes; printf end >>holes; mkfifo fifo`;
    await docker('run', '--name', 'odd', APP_IMAGE, 'sh', '-ec', odd);
    await docker('commit', 'odd', 'odd:1');
    const images = new EngineImages(api);
    const image = await images.find('odd:1', soon());
    const root = await images.dataRoot(soon());
    t.equal(root, '/var/lib/docker');
    if (image === undefined || root === undefined) throw new Error('there is no such image');
    t.equal(image.layers.length, 3);
    const store = new LayerStore(path.join(host.rootDir, root));
    for (const digest of [image.id, ...image.layers]) {
      const blob = await store.blob(image, digest, soon());
      t.same(await digestRead(blob), { digest, sizeBytes: blob?.sizeBytes });
    }
    t.equal(await store.blob(image, digestOf(Buffer.from('another')), soon()), undefined);
  },
);

const LAYER = digestOf(Buffer.from('a layer'));
const IMAGE = { id: digestOf(Buffer.from('an image')), layers: [LAYER], names: [] };
const hexOf = (digest: string) => digest.slice('sha256:'.length);

/** A store with one layer of these files, of which this was written down. */
async function storeOf(
  dir: string,
  files: Readonly<Record<string, Buffer>>,
  entries: readonly object[],
): Promise<string> {
  const layer = path.join(dir, 'image/overlay2/layerdb/sha256', hexOf(LAYER));
  const diff = path.join(dir, 'overlay2/cafe/diff');
  await mkdir(layer, { recursive: true });
  await mkdir(diff, { recursive: true });
  await writeFile(path.join(layer, 'cache-id'), 'cafe');
  const lines = entries.map((entry) => `${JSON.stringify(entry)}\n`).join('');
  await writeFile(path.join(layer, 'tar-split.json.gz'), gzipSync(lines));
  for (const [name, content] of Object.entries(files)) {
    await mkdir(path.dirname(path.join(diff, name)), { recursive: true });
    await writeFile(path.join(diff, name), content);
  }
  return diff;
}

const head = Buffer.from('what stands before a file');
const segment = { type: 2, payload: head.toString('base64') };
const fileOf = (name: string, size: number) => ({ type: 1, name, size, payload: '' });

t.test('a tar is put together from what was written down of it, and from the files', async (t) => {
  const content = randomBytes(600_000);
  const dir = t.testdir();
  await storeOf(dir, { 'sub/file': content }, [segment, fileOf('./sub/file', content.length), segment]);
  const blob = await new LayerStore(dir).blob(IMAGE, LAYER, soon());
  t.equal(blob?.sizeBytes, content.length + 2 * head.length);
  if (blob !== undefined) t.same(await buffer(blob.content), Buffer.concat([head, content, head]));
});

t.test('a store that is not as expected is not read: Docker itself is asked then', async (t) => {
  const content = randomBytes(100);
  const cases: [string, (dir: string) => Promise<unknown>][] = [
    ['no store at all', async () => {}],
    ['a file is missing', (dir) => storeOf(dir, {}, [fileOf('file', 100)])],
    ['a file has another size', (dir) => storeOf(dir, { file: content }, [fileOf('file', 99)])],
    ['a name leads out of the layer', (dir) => storeOf(dir, {}, [fileOf('../../../secret', 100)])],
    [
      'a directory is a link that leads out of the layer',
      async (dir) => {
        const diff = await storeOf(dir, {}, [fileOf('there/secret', 100)]);
        await symlink(dir, path.join(diff, 'there'));
      },
    ],
    [
      'a file is a link that leads out of the layer',
      async (dir) => {
        const diff = await storeOf(dir, {}, [fileOf('file', 100)]);
        await symlink(path.join(dir, 'secret'), path.join(diff, 'file'));
      },
    ],
    [
      'what was written down was cut',
      async (dir) => {
        await storeOf(dir, { file: content }, [segment, fileOf('file', 100)]);
        const split = path.join(dir, 'image/overlay2/layerdb/sha256', hexOf(LAYER), 'tar-split.json.gz');
        await writeFile(split, gzipSync(randomBytes(10_000)).subarray(0, 5_000));
      },
    ],
  ];
  for (const [what, make] of cases) {
    const dir = t.testdir({ [what.replaceAll(' ', '-')]: { secret: content } });
    const root = path.join(dir, what.replaceAll(' ', '-'));
    await make(root);
    t.equal(await new LayerStore(root).blob(IMAGE, LAYER, soon()), undefined, what);
  }
  await t.rejects(
    new LayerStore(t.testdir()).blob(IMAGE, LAYER, AbortSignal.abort(new Error('called off'))),
    {
      message: 'called off',
    },
  );
});

t.test('files that go away while a layer is read end it with a name', async (t) => {
  const dir = t.testdir();
  const diff = await storeOf(dir, { file: randomBytes(100) }, [segment, fileOf('file', 100)]);
  const blob = await new LayerStore(dir).blob(IMAGE, LAYER, soon());
  await writeFile(path.join(diff, 'file'), '');
  await t.rejects(digestRead(blob), { code: 'LAYERS_UNAVAILABLE' });
});
