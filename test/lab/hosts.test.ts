import { once } from 'node:events';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import { createLab, type LabHost } from './lab.ts';
import { whyNoLab } from './needs-lab.ts';

const skip = await whyNoLab();
const signal = AbortSignal.timeout(170_000);

async function sh(host: LabHost, script: string): Promise<string> {
  return (await host.exec('sh', ['-ec', script], { signal })).stdout.trim();
}

/** Wait for what has no event, until the deadline of this file. */
async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await sleep(5, undefined, { signal });
}

t.test('a lab of two hosts', { skip }, async (t) => {
  const lab = await createLab({ signal });
  t.teardown(() => lab.down());
  const [a, b] = [lab.host('a'), lab.host('b')];

  t.test('a host has a name, PIDs, links and a file system of its own', async (t) => {
    t.equal(await sh(a, 'hostname'), 'a');
    t.equal(await sh(a, 'cat /proc/1/comm'), 'tini');
    t.match(await sh(a, 'ls /sys/class/net'), /^eth0\nlo$/);
    await sh(a, 'echo here > /etc/only-on-a');
    t.equal(readFileSync(`${a.rootDir}/etc/only-on-a`, 'utf8'), 'here\n', 'seen from the machine');
    t.notOk(existsSync(`${b.rootDir}/etc/only-on-a`));
    t.notOk(existsSync('/etc/only-on-a'));
    t.ok(existsSync(`${a.rootDir}/opt/holdfast/package.json`), 'the repository is there');
    await t.rejects(sh(a, 'touch /opt/holdfast/x'), { message: /Read-only/ });
    await t.rejects(sh(a, 'touch /srv/rootfs/x'), { message: /Read-only/ });
  });

  t.test('hosts reach each other and the machine', async (t) => {
    await sh(a, `ping -c 1 -W 5 ${b.address}`);
    await sh(b, `ping -c 1 -W 5 ${lab.gatewayAddress}`);

    const server = net.createServer((socket) => socket.end('from the machine'));
    t.teardown(() => server.close());
    await once(server.listen(0, lab.gatewayAddress), 'listening');
    const { port } = server.address() as net.AddressInfo;
    t.equal(await sh(a, `socat -u TCP:${lab.gatewayAddress}:${port} -`), 'from the machine');
  });

  t.test('PID 1 reaps what others leave', async (t) => {
    const orphan = await sh(a, 'sleep 0.01 >/dev/null 2>&1 & echo $!');
    await until(() => !existsSync(`${a.rootDir}/proc/${orphan}`));
    t.notMatch(await sh(a, 'ps -eo stat='), /Z/);
  });

  t.test('a signal for a spawned program reaches the program', async (t) => {
    const script = "trap 'echo asked to end; exit 3' TERM; echo started; while :; do sleep 0.01; done";
    const child = a.spawn('sh', ['-c', script], { stdio: ['ignore', 'pipe', 'inherit'] });
    let said = '';
    child.stdout?.on('data', (chunk: Buffer) => {
      said += chunk.toString();
    });
    await until(() => said.includes('started'));
    t.ok(child.kill('SIGTERM'));
    t.same(await once(child, 'close', { signal }), [3, null]);
    t.match(said, 'asked to end');
    t.notOk(child.kill('SIGTERM'), 'there is nobody left');
  });

  t.test('a spawned program that is killed is gone', async (t) => {
    const child = a.spawn('sleep', ['4711'], { stdio: 'ignore' });
    await until(
      () => child.exitCode !== null || readFileSync(`/proc/${child.pid}/comm`, 'utf8') === 'nsenter\n',
    );
    child.kill('SIGKILL');
    t.same(await once(child, 'exit', { signal }), [null, 'SIGKILL']);
    t.notMatch(await sh(a, 'ps -eo args='), /4711/);
  });

  t.test('CRIU is new enough and finds what it needs', async (t) => {
    const version = /Version: (\d+)\.(\d+)/.exec(await sh(a, 'criu --version'));
    t.ok(Number(version?.[1]) * 100 + Number(version?.[2]) >= 402, `${version?.[0]}`);
    t.match(await sh(a, 'criu check'), 'Looks good');
  });

  t.test('a runc container is checkpointed on one host and goes on on the other', async (t) => {
    for (const host of [a, b]) {
      await sh(host, 'mkdir -p /run/box && cd /run/box && runc spec');
      const file = `${host.rootDir}/run/box/config.json`;
      writeFileSync(file, JSON.stringify(counting(JSON.parse(readFileSync(file, 'utf8')))));
    }
    const count = async (host: LabHost) => Number(await sh(host, 'runc exec box cat /tmp/count || echo 0'));

    await sh(a, 'cd /run/box && runc run -d box </dev/null >/dev/null 2>&1');
    t.match(await sh(a, 'runc list'), /box.*running/);
    let last = 0;
    while (last < 20) last = await count(a);
    await sh(a, 'cd /run && runc checkpoint --image-path /run/image --work-path /run/work box');
    await sh(a, 'tar -C /run -cf /run/image.tar image');
    writeFileSync(`${b.rootDir}/run/image.tar`, readFileSync(`${a.rootDir}/run/image.tar`));

    const restore =
      'runc restore -d --image-path /run/image --work-path /run/work box </dev/null >/dev/null 2>&1';
    await sh(b, `cd /run && tar xf image.tar && cd box && ${restore}`);
    const first = await count(b);
    t.ok(first >= last, 'it has not begun anew');
    while ((await count(b)) <= first);
    t.pass('and it counts on');
    await sh(b, 'runc kill box KILL');
  });
});

/**
 * A container that counts in memory, and shows how far it is. It starts no programs: CRIU cannot seize a process that ends at
 * that moment, nor one that waits for the child of its vfork.
 */
function counting(spec: { process: object; mounts: object[]; linux: { namespaces: { type: string }[] } }) {
  const script = `for (my $i = 0; ; $i++) {
    open my $file, '>', '/tmp/next'; print $file $i; close $file; rename '/tmp/next', '/tmp/count'; select undef, undef, undef, 0.02;
  }`;
  return {
    ...spec,
    root: { path: '/srv/rootfs', readonly: true },
    process: { ...spec.process, terminal: false, args: ['perl', '-e', script] },
    mounts: [...spec.mounts, { destination: '/tmp', type: 'tmpfs', source: 'tmpfs', options: ['nosuid'] }],
    linux: {
      ...spec.linux,
      namespaces: spec.linux.namespaces.filter(({ type }) => !/network|cgroup/.test(type)),
    },
  };
}
