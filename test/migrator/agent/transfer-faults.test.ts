import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtemp, rmdir, writeFile } from 'node:fs/promises';
import { request } from 'node:https';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import t from 'tap';
import { DumpMemory } from '../../../migrator/engine/engine.ts';
import { Role } from '../../../migrator/pki/role.ts';
import type { TlsMaterial } from '../../../migrator/pki/tls-files.ts';
import { encodeFrame } from '../../../migrator/transfer/frame.ts';
import { APP, migrateUpTo, soon, twoHosts } from './two-hosts.ts';

const isRoot = process.getuid?.() === 0;

/** Send these bytes as the images of a migration; gives the last line of the answer. */
function putImages(url: string, tls: TlsMaterial, body: Buffer): Promise<string> {
  return new Promise((resolve, reject) => {
    const put = request(`${url}/v1/migrations/m1/images`, {
      ...tls,
      method: 'PUT',
      headers: { 'content-type': 'application/octet-stream' },
    });
    put.on('error', reject);
    put.on('response', (response) => {
      let text = '';
      response.on('data', (part) => {
        text += part;
      });
      response.on('end', () => resolve(text.trim().split('\n').at(-1) ?? ''));
    });
    put.end(body);
  });
}

t.test('a checkpoint that came damaged or cut is not restored, and may come again', async (t) => {
  const hosts = await twoHosts(t);
  const { a, b, issue } = hosts;
  a.engine.memory.set(APP, Buffer.from('memory'));
  await migrateUpTo('freeze', hosts);
  const tls = await issue('faulty', Role.agent);
  const begun = encodeFrame({ type: 'file', path: 'pages.img' });
  const payload = { rawBytes: 5, encoding: 'identity', crc32: 1 };
  const wrong = encodeFrame({ type: 'data', file: 0, offset: 0, length: 5, ...payload }, 5);
  const ending = encodeFrame({ type: 'end', files: 1, imageBytes: 5 });
  t.match(await putImages(b.agent.url, tls, begun), /IMAGES_TRUNCATED/);
  t.match(
    await putImages(b.agent.url, tls, Buffer.concat([begun, wrong, Buffer.from('hello'), ending])),
    /IMAGES_DAMAGED/,
  );
  await t.rejects(b.agent.restore('m1', soon()), { code: 'MIGRATION_PHASE' });
  await a.agent.dump('m1', DumpMemory.inImages, soon());
  await a.agent.send('m1', soon());
  await b.agent.restore('m1', soon());
  t.equal(String(b.engine.memory.get(APP)), 'memory');
});

t.test('images nobody awaits are refused', async (t) => {
  const { b, issue } = await twoHosts(t);
  t.match(
    await putImages(b.agent.url, await issue('eager', Role.agent), Buffer.alloc(0)),
    /MIGRATION_UNKNOWN/,
  );
});

t.test('a full file system at the destination is told, and left empty', { skip: !isRoot }, async (t) => {
  const runDir = await mkdtemp(path.join(tmpdir(), 'holdfast-test-'));
  await promisify(execFile)('mount', ['-t', 'tmpfs', '-o', 'size=4m', 'holdfast-test', runDir]);
  t.teardown(async () => {
    await promisify(execFile)('umount', ['-l', runDir]);
    await rmdir(runDir);
  });
  const hosts = await twoHosts(t, { destinationRunDir: runDir });
  const { a, b } = hosts;
  a.engine.memory.set(APP, randomBytes(8 << 20));
  await migrateUpTo('dump', hosts);
  await t.rejects(a.agent.send('m1', soon()), { code: 'IMAGES_DISK_FULL', retryable: false });
  await t.rejects(b.agent.restore('m1', soon()), { code: 'MIGRATION_PHASE' });
  await writeFile(path.join(runDir, 'room-again'), randomBytes(3 << 20));
  await b.agent.discard('m1', soon());
  await a.agent.thaw('m1', soon());
  t.same([...(await a.leftovers()), ...(await b.leftovers())], []);
  t.equal(a.engine.states.get(APP), 'running');
});
