import { arch } from 'node:process';
import t from 'tap';
import type { Finding, Footprint } from '../../../../migrator/engine/engine.ts';
import { inLab } from './fixtures/in-lab.ts';
import { app, FIXTURES } from './fixtures/lab-engine.ts';

const MIB = 1 << 20;
const containers = {
  app: app(),
  rootless: app({ port: 8081, rootfs: '/srv/nowhere' }),
  mountless: app({ port: 8082, mounts: [{ source: '/srv/nothing', destination: '/mnt', readOnly: true }] }),
  small: app({
    port: 8083,
    memoryLimitBytes: 16 * MIB,
    mounts: [{ source: FIXTURES, destination: '/mnt', readOnly: true }],
  }),
};

const codes = (findings: readonly Finding[]) => findings.map(({ code }) => code);

/**
 * A CRIU CPU image with every feature bit set, as a source with a newer CPU would send it. The image is two words of
 * magic, the length, and `cpuinfo_entry { x86_entry = 1 { … repeated uint32 capability = 6; … } }`.
 */
function newerCpu(image: string): string {
  const bytes = Buffer.from(image, 'base64');
  const entry = bytes.subarray(12 + 2);
  const fields: Buffer[] = [];
  for (let at = 0; at < entry.length; ) {
    const begin = at;
    const tag = entry[at] ?? 0;
    at += 1;
    let value = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = entry[at] ?? 0;
      at += 1;
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) break;
    }
    if ((tag & 7) === 2) at += value;
    fields.push(tag === 0x30 ? Buffer.from([0x30, 0xff, 0xff, 0xff, 0xff, 0x0f]) : entry.subarray(begin, at));
  }
  const body = Buffer.concat(fields);
  const message = Buffer.concat([Buffer.from([0x0a, (body.length & 0x7f) | 0x80, body.length >> 7]), body]);
  const head = Buffer.from(bytes.subarray(0, 12));
  head.writeUInt32LE(message.length, 8);
  return Buffer.concat([head, message]).toString('base64');
}

await inLab(containers, ['a', 'b'], async ([a, b]) => {
  if (a === undefined || b === undefined) return;
  await a.call('start', 'app');
  const { footprint } = await a.call('examine', 'app');
  const admit = async (name: string, changes: Partial<Footprint> = {}, imagesDir = '/run/holdfast/images') =>
    b.call('admit', name, { ...footprint, ...changes }, imagesDir);
  const evidence = (changes: Record<string, string>) => ({ evidence: { ...footprint.evidence, ...changes } });

  await t.test('a host that can take the container has nothing against it', async (t) => {
    t.same(await admit('app'), []);
  });

  await t.test('what the container is not made for is refused', async (t) => {
    t.same(codes(await admit('app', { engine: 'docker' })), ['ENGINE_MISMATCH']);
    t.same(codes(await admit('app', evidence({ arch: 'sparc' }))), ['ARCH_MISMATCH']);
    t.same(codes(await admit('nobody')), ['CONTAINER_UNKNOWN']);
    t.same(codes(await admit('rootless')), ['ROOTFS_MISSING']);
    t.same(codes(await admit('mountless')), ['MOUNT_SOURCE_MISSING']);
  });

  await t.test('too little room for the images is found', async (t) => {
    await b.sh('mkdir -p /run/small && mount -t tmpfs -o size=8m tmpfs /run/small');
    const findings = await admit('app', {}, '/run/small/not/yet/there');
    t.same(codes(findings), ['SPACE_TOO_SMALL']);
    t.match(findings[0]?.message, /has room for 8$/);
    await b.sh('umount /run/small');
  });

  await t.test('too little memory is found, of the host or of the limit', async (t) => {
    t.ok(codes(await admit('app', { memoryBytes: 2 ** 50 })).includes('MEMORY_TOO_SMALL'));
    t.same(codes(await admit('small', { memoryBytes: 17 * MIB })), ['MEMORY_TOO_SMALL']);
    t.same(codes(await admit('small', { memoryBytes: 15 * MIB })), []);
  });

  await t.test('a source with a newer CPU is refused', { skip: arch !== 'x64' && 'x86 only' }, async (t) => {
    const findings = await admit('app', evidence({ cpuinfo: newerCpu(footprint.evidence.cpuinfo ?? '') }));
    t.same(codes(findings), ['CPU_FEATURES_MISSING']);
    t.match(findings[0]?.message, /CPU instruction capabilities do not match|FPU feature/);
  });

  await t.test('a port taken and a container of that name are found', async (t) => {
    const listener = await b.listen(8080);
    t.same(codes(await admit('app')), ['PORT_TAKEN']);
    listener.kill('SIGKILL');
    await new Promise((resolve) => listener.once('exit', resolve));
    await b.call('start', 'app');
    t.same(codes(await admit('app')), ['CONTAINER_EXISTS']);
    await b.call('remove', 'app');
  });

  t.equal((await a.ask('/count')).count, 1, 'the app never noticed');
  await a.call('remove', 'app');
});
