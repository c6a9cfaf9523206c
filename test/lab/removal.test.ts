import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readdirSync, readlinkSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import t, { type Test } from 'tap';
import { PLAIN_NODE } from '../build.mjs';
import { createLab, type Lab, leftovers, openLab, pruneLabs } from './lab.ts';
import { whyNoLab } from './needs-lab.ts';
import { removeLab } from './remove.ts';

const skip = await whyNoLab();
const signal = AbortSignal.timeout(170_000);

function newName(): string {
  return `test-${randomBytes(4).toString('hex')}`;
}

/** The namespaces a lab's hosts have beyond the machine's. */
function namespacesOf(lab: Lab): string[] {
  const machine = namespacesOfProcess('self');
  const own = [...lab.hosts.values()].flatMap((host) => namespacesOfProcess(String(host.initPid)));
  return own.filter((namespace) => !machine.includes(namespace));
}

function namespacesOfProcess(pid: string): string[] {
  try {
    return readdirSync(`/proc/${pid}/ns`).map((name) => readlinkSync(`/proc/${pid}/ns/${name}`));
  } catch {
    return []; // The process has ended.
  }
}

function stillInUse(namespaces: readonly string[]): string[] {
  const pids = readdirSync('/proc').filter((entry) => /^\d+$/.test(entry));
  return pids.flatMap(namespacesOfProcess).filter((namespace) => namespaces.includes(namespace));
}

/** Another process with a lab of its own. */
async function ownerOf(t: Test, name: string, ...how: string[]): Promise<ChildProcess> {
  const script = fileURLToPath(new URL('owner-of-a-lab.ts', import.meta.url));
  const node = [...PLAIN_NODE, process.execPath, '--import', 'tsx'];
  const child = spawn('/usr/bin/env', [...node, script, name, ...how], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  t.teardown(() => {
    child.kill('SIGKILL');
    removeLab(name);
  });
  if (child.stdout) await once(child.stdout, 'data', { signal });
  return child;
}

t.test('the end of a lab', { skip }, async (t) => {
  t.test('nothing is left of a lab that is taken down, whatever runs in it', async (t) => {
    const lab = await createLab({ signal, link: { rateBps: 1e9, delayMs: 1 } });
    t.teardown(() => lab.down());
    const a = lab.host('a');
    await a.exec('sh', ['-c', 'setsid sleep 1000 >/dev/null 2>&1 &'], { signal });
    a.spawn('sleep', ['1000'], { stdio: 'ignore' });
    const namespaces = namespacesOf(lab);
    t.ok(namespaces.length >= 2 * 5);
    t.match(
      leftovers(lab.name).join('\n'),
      /link hf[\s\S]*cgroup [\s\S]*process [\s\S]*mounts of [\s\S]*directory /,
    );
    await lab.down();
    t.same(leftovers(lab.name), []);
    t.same(stillInUse(namespaces), []);
    await lab.down();
    t.pass('a second time does no harm');
  });

  t.test('nothing is left of a lab that could not be made', async (t) => {
    const name = newName();
    const controller = new AbortController();
    const making = createLab({ name, signal: controller.signal, log: () => {} });
    const timer = setInterval(() => {
      if (leftovers(name).length > 0) controller.abort(); // In the midst of it.
    }, 1);
    await t.rejects(making);
    clearInterval(timer);
    t.same(leftovers(name), []);
  });

  t.test('two labs are up at once, and do not see each other', async (t) => {
    const [one, two] = await Promise.all([createLab({ signal }), createLab({ signal })]);
    t.teardown(() => Promise.all([one.down(), two.down()]));
    t.not(one.gatewayAddress, two.gatewayAddress);
    for (const lab of [one, two]) {
      await lab.host('a').exec('ping', ['-c', '1', '-W', '5', lab.host('b').address], { signal });
    }
    await one.down();
    t.same(leftovers(one.name), []);
    await two.host('a').exec('ping', ['-c', '1', '-W', '5', two.host('b').address], { signal });
  });

  t.test('a name is not given twice', async (t) => {
    const lab = await createLab({ signal, hosts: ['a'] });
    t.teardown(() => lab.down());
    await t.rejects(createLab({ name: lab.name, signal }), { code: 'LAB_EXISTS' });
    t.ok(await lab.host('a').exec('true', [], { signal }), 'and the first is not harmed');
  });

  for (const name of ['SIGINT', 'SIGTERM'] as const) {
    t.test(`nothing is left of a lab whose owner gets ${name}`, async (t) => {
      const lab = newName();
      const owner = await ownerOf(t, lab);
      const namespaces = namespacesOf(openLab(lab));
      owner.kill(name);
      t.same(await once(owner, 'exit', { signal }), [null, name], 'it ends as the signal wants it');
      t.same(leftovers(lab), []);
      t.same(stillInUse(namespaces), []);
    });
  }

  t.test('nothing is left of a lab whose owner fails', async (t) => {
    const lab = newName();
    const owner = await ownerOf(t, lab, 'throw');
    if (owner.exitCode === null) await once(owner, 'exit', { signal });
    t.equal(owner.exitCode, 1);
    t.same(leftovers(lab), []);
  });

  t.test('what a killed owner has left is pruned, and nothing else', async (t) => {
    const kept = await createLab({ name: newName(), signal, hosts: ['a'], keep: true });
    t.teardown(() => kept.down());
    const alive = await createLab({ signal, hosts: ['a'] });
    t.teardown(() => alive.down());
    const lab = newName();
    const owner = await ownerOf(t, lab);
    owner.kill('SIGKILL');
    await once(owner, 'exit', { signal });
    pruneLabs(); // Another run may have been quicker, and have named it.
    t.same(leftovers(lab), []);
    for (const other of [kept, alive]) await other.host('a').exec('true', [], { signal });
  });
});
