import { randomBytes } from 'node:crypto';
import { closeSync, openSync, writeSync } from 'node:fs';
import { readdir, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import t from 'tap';
import { admitImages } from '../../../../../migrator/engine/docker/image/admit-image.ts';
import type { ImageSent } from '../../../../../migrator/engine/docker/image/send-image.ts';
import { createDockerLab } from '../../../../lab/docker.ts';
import { whyNoLab } from '../../../../lab/needs-lab.ts';
import { buildImage, MARK, randomLayer } from './build-image.ts';
import { digestOf } from './made-up-engine.ts';
import { twoEnds } from './two-ends.ts';

const MIB = 1024 ** 2;
const TALK_BYTES = 16 * 1024;

/** Do something once, when this much has come. */
function after(sizeBytes: number, what: () => void): (piece: Buffer) => void {
  let left = sizeBytes;
  return (piece) => {
    if (left > 0 && left <= piece.length) what();
    left -= piece.length;
  };
}

t.test('between two Docker Engines', { skip: await whyNoLab(), timeout: 170_000 }, async (t) => {
  const lab = await createDockerLab({ bare: true });
  t.teardown(() => lab.down());
  const [a, b] = [lab.on('a').api, lab.on('b').api];
  const spoolDir = path.join(t.testdir({}), 'spool');
  const { move } = twoEnds(t, { from: a, to: b, spoolDir });
  const base = await randomLayer(8 * MIB);
  await buildImage(b, [base, await randomLayer(1000)], 'other:1');

  /** Move it, which must go well, and have the same image there as here. */
  const arrive = async (image: string, onPiece?: (piece: Buffer) => void): Promise<ImageSent> => {
    const { sent, received } = await move(image, onPiece && { onPiece });
    if (sent instanceof Error) throw sent;
    if (received instanceof Error) throw received;
    const [here, there] = await Promise.all([a, b].map((docker) => docker.getImage(image).inspect()));
    t.same(there?.RootFS, here?.RootFS);
    t.same(there?.Config, here?.Config);
    t.same(there?.RepoTags, here?.RepoTags);
    t.same(await readdir(spoolDir), [], 'nothing is left in the spool');
    const container = await b.createContainer({ Image: image });
    await container.remove();
    return sent;
  };

  await t.test('both may move images', async (t) => {
    for (const docker of [a, b]) t.same(await admitImages(docker, AbortSignal.timeout(10_000)), []);
  });

  await t.test('an image that differs in its top layer costs that layer, and then nothing', async (t) => {
    const top = await randomLayer(MIB);
    const image = await buildImage(a, [base, top], 'shop:1');
    const { bytesSent } = await arrive(image);
    t.ok(bytesSent > MIB && bytesSent < top.length + TALK_BYTES, `${bytesSent} bytes of ${top.length}`);
    const again = await arrive(image);
    t.ok(again.bytesSent < 2048, `${again.bytesSent} bytes`);
  });

  await t.test('a layer on another base is taken from there', async (t) => {
    const shared = await randomLayer(4 * MIB);
    await buildImage(b, [await randomLayer(2000), shared], 'other:2');
    const { bytesSent } = await arrive(await buildImage(a, [base, shared], 'shop:2'));
    t.ok(bytesSent < TALK_BYTES, `${bytesSent} bytes`);
  });

  await t.test('an interrupted transfer goes on where it stopped', async (t) => {
    const image = await buildImage(a, [base, await randomLayer(16 * MIB)], 'shop:3');
    const { received } = await move(image, { cutAfterBytes: 8 * MIB });
    t.match(received, { code: 'LINK_BROKEN', retryable: true });
    const kept = await Promise.all((await readdir(spoolDir)).map((name) => stat(path.join(spoolDir, name))));
    const keptBytes = kept.reduce((sum, { size }) => sum + size, 0);
    t.ok(keptBytes > 7 * MIB, `${keptBytes} bytes were kept`);
    const { bytesSent } = await arrive(image);
    t.ok(bytesSent < 16 * MIB - keptBytes + TALK_BYTES, `${bytesSent} bytes`);
  });

  await t.test('damage on the way is found, and nothing of it kept', async (t) => {
    const damaged = await randomLayer(2 * MIB);
    const image = await buildImage(a, [base, damaged], 'shop:4');
    const { sent, received } = await move(image, {
      onPiece: (piece) => {
        const at = piece.indexOf(MARK);
        if (at >= 0) piece[at] = 0;
      },
    });
    t.match(sent, { code: 'LAYER_DAMAGED', retryable: true });
    t.match(received, { code: 'LAYER_DAMAGED' });
    await t.rejects(b.getImage(image).inspect(), /no such image/i);
    t.notOk((await readdir(spoolDir)).includes(digestOf(damaged).replace(':', '-')));
    await arrive(image);
  });

  await t.test('what was kept and has gone bad is asked for anew', async (t) => {
    const top = await randomLayer(MIB);
    await writeFile(path.join(spoolDir, digestOf(top).replace(':', '-')), randomBytes(MIB / 2));
    const { bytesSent } = await arrive(await buildImage(a, [base, top], 'shop:5'));
    t.ok(bytesSent > MIB, `${bytesSent} bytes`);
  });

  await t.test('what goes bad in the spool is found by Docker, and asked for anew', async (t) => {
    const top = await randomLayer(2 * MIB);
    const spooled = path.join(spoolDir, digestOf(top).replace(':', '-'));
    const { bytesSent } = await arrive(
      await buildImage(a, [base, top], 'shop:8'),
      after(MIB, () => {
        const file = openSync(spooled, 'r+');
        writeSync(file, randomBytes(100), 0, 100, 1000);
        closeSync(file);
      }),
    );
    t.ok(bytesSent > 4 * MIB, `${bytesSent} bytes`);
  });

  await t.test('an image whose layers are counted on may be deleted in mid-move', async (t) => {
    const lower = await randomLayer(MIB);
    await buildImage(b, [lower], 'other:3');
    const image = await buildImage(a, [lower, await randomLayer(16 * MIB)], 'shop:6');
    let deleted: Promise<unknown> | undefined;
    await arrive(
      image,
      after(MIB, () => {
        deleted = b.getImage('other:3').remove();
      }),
    );
    t.ok(await deleted);
  });

  await t.test('a Docker that dies in mid-move is told, and nothing of what came is lost', async (t) => {
    const image = await buildImage(a, [base, await randomLayer(4 * MIB)], 'shop:7');
    const { daemon } = lab.on('b');
    let died: Promise<void> | undefined;
    const { sent } = await move(image, {
      onPiece: after(MIB, () => {
        died = daemon.kill();
      }),
    });
    await died;
    t.match(sent, { code: 'DOCKER_IMAGES_FAILED', retryable: true });
    await daemon.start({ supervise: false });
    const { bytesSent } = await arrive(image);
    t.ok(bytesSent < MIB, `${bytesSent} bytes`);
  });

  await t.test("an engine with containerd's image store is refused", async (t) => {
    const { daemon, host } = lab.on('b');
    await daemon.stop();
    const config = JSON.stringify({ features: { 'containerd-snapshotter': true } });
    await host.exec('sh', ['-ec', `mkdir -p /etc/docker; echo '${config}' >/etc/docker/daemon.json`], {
      signal: AbortSignal.timeout(10_000),
    });
    await daemon.start({ supervise: false });
    const findings = await admitImages(b, AbortSignal.timeout(10_000));
    t.match(findings, [{ code: 'IMAGE_STORE_UNSUPPORTED' }]);
  });
});
