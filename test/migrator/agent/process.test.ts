import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { createInterface } from 'node:readline';
import t from 'tap';
import { AgentClient } from '../../../migrator/agent/client.ts';
import { Role } from '../../../migrator/pki/role.ts';
import { build, PLAIN_NODE, repoDir } from '../../build.mjs';
import { makePki, soon } from './two-hosts.ts';

const MAIN = path.join(repoDir, build(), 'gateway/main.js');
const isRoot = process.getuid?.() === 0;

function startAgent(config: string): ChildProcess {
  return spawn('/usr/bin/env', [...PLAIN_NODE, process.execPath, MAIN, 'agent', '-c', config], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
}

async function logLine(agent: ChildProcess, matching: RegExp): Promise<Record<string, unknown>> {
  if (!agent.stdout) throw new Error('no log');
  for await (const line of createInterface({ input: agent.stdout })) {
    if (matching.test(line)) return JSON.parse(line) as Record<string, unknown>;
  }
  throw new Error(`the agent ended without a line that matches ${matching}`);
}

t.test('gateway agent answers its gateway, and ends in good order', { skip: !isRoot }, async (t) => {
  const dir = t.testdir();
  const issue = await makePki(path.join(dir, 'pki'));
  await issue('a', Role.agent);
  const config = path.join(dir, 'agent.yaml');
  await writeFile(
    config,
    `host: a
listen: 127.0.0.1:0
runDir: ${dir}/run
stateDir: ${dir}/state
tls: { ca: pki/ca.crt, cert: pki/a.crt, key: pki/a.key }
containers:
  shop: { engine: runc, rootfs: /, command: [/bin/true], port: 18080 }
`,
  );
  const agent = startAgent(config);
  t.teardown(() => agent.kill('SIGKILL'));
  const { port } = await logLine(agent, /the agent listens/);
  const tls = await issue('gateway', Role.gateway);
  const client = new AgentClient({ host: 'a', url: `https://127.0.0.1:${port}`, tls });
  t.teardown(() => client.close());
  t.match(await client.info(soon()), { host: 'a', engines: ['runc'] });
  t.match(await client.containers(soon()), [{ name: 'shop', engine: 'runc', state: 'absent', port: 18080 }]);
  agent.kill('SIGTERM');
  t.same(await once(agent, 'exit'), [0, null]);
});

t.test(
  'a container that its engine would not understand is told with its line',
  { skip: !isRoot },
  async (t) => {
    const dir = t.testdir({
      'agent.yaml': `host: a
listen: 127.0.0.1:0
tls: { ca: ca, cert: cert, key: key }
containers:
  shop: { engine: runc, rootfs: /, command: [], port: 80 }
  other: { engine: steam }
`,
    });
    const agent = startAgent(path.join(dir, 'agent.yaml'));
    let said = '';
    agent.stderr?.on('data', (text) => {
      said += text;
    });
    const [code] = await once(agent, 'close');
    t.not(code, 0);
    t.match(said, /agent\.yaml:5: containers\.shop\.command/);
    t.match(said, /agent\.yaml:6: containers\.other\.engine must be one of runc/);
  },
);
