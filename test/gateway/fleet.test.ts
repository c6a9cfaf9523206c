import { once } from 'node:events';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { pino } from 'pino';
import t, { type Test } from 'tap';
import { parseGatewayConfig } from '../../gateway/config/load.ts';
import { type Gateway, startGateway } from '../../gateway/serve.ts';
import { APP, type TestHost, twoHosts } from '../migrator/agent/two-hosts.ts';

/** Addresses of nobody else's on loopback: the model's containers are always on port 8080. */
const ADDRESS = { a: '127.83.1.2', b: '127.83.1.3' } as const;

/** @returns what ends it */
async function appAt(t: Test, host: 'a' | 'b'): Promise<() => void> {
  const server = createServer((_request, response) => response.end(`answered on ${host}`));
  server.listen(8080, ADDRESS[host]);
  await once(server, 'listening');
  const end = () => {
    server.closeAllConnections();
    server.close();
  };
  t.teardown(end);
  return end;
}

/** Two real agents under TLS, whose containers are values, and an app on each host's address. */
async function setUp(t: Test) {
  const { a, b } = await twoHosts(t);
  const endAppAtA = await appAt(t, 'a');
  await appAt(t, 'b');
  const dir = t.testdirName;
  const text = `
listen: 127.0.0.1:0
admin: {listen: "127.0.0.1:0"}
stateDir: gateway-state
tls: {ca: pki/ca.crt, cert: pki/gateway.crt, key: pki/gateway.key}
hosts:
  a: {agent: "${a.agent.url}", address: ${ADDRESS.a}}
  b: {agent: "${b.agent.url}", address: ${ADDRESS.b}}
apps:
  ${APP}:
    match: [{path: /}]
    container: ${APP}
`;
  const config = parseGatewayConfig(text, join(dir, 'gateway.yaml'));
  const started = new Set<Gateway>();
  t.teardown(() => Promise.all([...started].map((gateway) => gateway.stop(AbortSignal.abort()))));
  const start = async () => {
    const gateway = await startGateway(config, pino({ level: 'silent' }));
    started.add(gateway);
    return {
      ...gateway,
      stop: async (signal: AbortSignal) => {
        started.delete(gateway);
        await gateway.stop(signal);
      },
    };
  };
  return { a, b, start, endAppAtA };
}

async function order(gateway: Gateway, to: string): Promise<string> {
  const response = await fetch(`${gateway.adminUrl}/v1/migrations`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ app: APP, to }),
  });
  return ((await response.json()) as { id: string }).id;
}

const follow = async (gateway: Gateway, id: string) =>
  (await fetch(`${gateway.adminUrl}/v1/migrations/${id}/events`)).text();
const ask = async (gateway: Gateway) => (await fetch(gateway.url)).text();

async function untilHeld(gateway: Gateway): Promise<void> {
  for (let held = 0; held === 0; ) {
    const answer = await fetch(`${gateway.adminUrl}/v1/apps/${APP}`);
    held = ((await answer.json()) as { gate: { heldRequests: number } }).gate.heldRequests;
  }
}

/** @returns settles when the host's engine is asked for a call, which then never ends by itself */
function stuckAt(host: TestHost, call: string): Promise<void> {
  return new Promise((resolve) => {
    host.engine.before.set(call, async (signal) => {
      resolve();
      await once(signal, 'abort');
    });
  });
}

t.test(
  'requests follow the app to where it is moved, and a gateway started later finds it there',
  async (t) => {
    const { a, b, start } = await setUp(t);
    const gateway = await start();
    t.equal(await ask(gateway), 'answered on a');
    t.match(await follow(gateway, await order(gateway, 'b')), '"outcome":"succeeded"');
    t.equal(await ask(gateway), 'answered on b');
    t.same([a.engine.states.get(APP), b.engine.states.get(APP)], [undefined, 'running']);
    await gateway.stop(AbortSignal.timeout(5_000));
    const later = await start();
    t.equal(await ask(later), 'answered on b');
  },
);

t.test(
  'a gateway that ends in the middle of a move leaves a journal that the next one goes by',
  async (t) => {
    const { a, b, start } = await setUp(t);
    const gateway = await start();
    const dumping = stuckAt(a, 'dump');
    const id = await order(gateway, 'b');
    await dumping;
    await gateway.stop(AbortSignal.abort());
    t.equal(a.engine.states.get(APP), 'frozen');
    a.engine.before.clear();
    const next = await start();
    t.equal(await ask(next), 'answered on a', 'held until the app was thawed, then answered');
    t.match(await follow(next, id), '"outcome":"rolled-back"');
    t.same([a.engine.states.get(APP), b.engine.states.get(APP)], ['running', undefined]);
  },
);

t.test('an app is where it was last while its agent is away, also for a new gateway', async (t) => {
  const { a, start } = await setUp(t);
  await (await start()).stop(AbortSignal.timeout(5_000));
  await a.stop();
  const gateway = await start();
  t.equal(await ask(gateway), 'answered on a');
});

t.test('requests find an app that somebody moved by hand', async (t) => {
  const { a, b, start, endAppAtA } = await setUp(t);
  const gateway = await start();
  t.equal(await ask(gateway), 'answered on a');
  a.engine.states.delete(APP);
  endAppAtA();
  b.engine.states.set(APP, 'running');
  const answers = new Set<string>();
  while (!answers.has('answered on b')) {
    const answer = await ask(gateway);
    answers.add(answer.startsWith('{') ? (JSON.parse(answer) as { code: string }).code : answer);
    await setTimeout(20);
  }
  t.same([...answers], ['UPSTREAM_UNREACHABLE', 'answered on b']);
});

t.test('a gateway that is told to stop finishes what is moving', async (t) => {
  const { a, b, start } = await setUp(t);
  const gateway = await start();
  let goOn = () => {};
  const dumping = new Promise<void>((resolve) => {
    a.engine.before.set('dump', async () => {
      resolve();
      await new Promise<void>((settle) => {
        goOn = settle;
      });
    });
  });
  await order(gateway, 'b');
  await dumping;
  const held = ask(gateway);
  await untilHeld(gateway);
  const stopped = gateway.stop(AbortSignal.timeout(10_000));
  goOn();
  t.equal(await held, 'answered on b');
  await stopped;
  t.equal(b.engine.states.get(APP), 'running');
});
