import { request } from 'node:http';
import t from 'tap';
import { HoldfastError } from '../../../migrator/errors.ts';
import { PREFERENCE } from '../../../migrator/planner/choice.ts';
import type { Plan } from '../../../migrator/planner/prediction.ts';
import { gateway } from '../cli/run.ts';
import { toyFleet } from './toy-fleet.ts';

/** As much of the answers as the tests look into. */
interface Body {
  readonly id?: string;
  readonly migrations?: readonly unknown[];
  readonly paths?: Record<string, { post?: unknown }>;
  readonly components?: { schemas: object };
}

const JSON_TYPE = { 'content-type': 'application/json' };

async function post(url: string, body: unknown, headers: Record<string, string> = JSON_TYPE) {
  const response = await fetch(url, { method: 'POST', headers, body: JSON.stringify(body) });
  return { status: response.status, headers: response.headers, body: (await response.json()) as Body };
}

async function get(url: string, headers: Record<string, string> = {}) {
  const response = await fetch(url, { headers });
  return { status: response.status, body: (await response.json()) as Body };
}

/** fetch does not let its caller choose the Host header. */
function getAs(host: string, url: string): Promise<number> {
  return new Promise((resolve, reject) => {
    request(url, { headers: { host } }, (response) => {
      response.resume();
      resolve(response.statusCode ?? 0);
    })
      .on('error', reject)
      .end();
  });
}

t.test('an ordered migration is accepted, and can be followed to its end', async (t) => {
  const { url } = await toyFleet(t);
  const order = await post(`${url}/v1/migrations`, { app: 'shop', to: 'b' });
  t.equal(order.status, 202);
  t.match(order.body, { app: 'shop', from: 'a', to: 'b', strategy: 'auto', state: 'running' });
  t.equal(order.headers.get('location'), `/v1/migrations/${order.body.id}`);
  const stream = await (await fetch(`${url}/v1/migrations/${order.body.id}/events`)).text();
  t.match(stream, /event: started\ndata: .*\n\n/);
  t.match(stream, /event: ended\ndata: .*"outcome":"succeeded"/);
  const { body } = await get(`${url}/v1/migrations/${order.body.id}`);
  t.match(stream, /event: planned\ndata: .*"strategy":"hybrid","reason":"/);
  t.match(body, { state: 'succeeded', strategy: 'hybrid', reason: String, figures: { bytesSent: 2 } });
  t.match(body, { predicted: { strategy: 'hybrid', frozenMs: Number, bytesSent: Number } });
  t.match((await get(`${url}/v1/apps/shop`)).body, { host: 'b', url: 'http://127.0.0.1:3000' });
  t.match((await get(`${url}/v1/migrations`)).body.migrations, [{ id: order.body.id }]);
});

t.test('while an app moves, its status says so, and nothing else may be done with it', async (t) => {
  const fleet = await toyFleet(t);
  const { url } = fleet;
  let goOn = () => {};
  fleet.beforeSend = new Promise((resolve) => {
    goOn = resolve;
  });
  const { body: order } = await post(`${url}/v1/migrations`, { app: 'shop', to: 'b' });
  const status = await get(`${url}/v1/status`);
  t.match(status.body, { apps: [{ app: 'shop', migration: order.id }, {}], migrations: [{ id: order.id }] });
  const again = await post(`${url}/v1/migrations`, { app: 'shop', to: 'b' });
  t.match(again, { status: 409, body: { code: 'MIGRATION_UNDER_WAY', retryable: true } });
  t.match(await post(`${url}/v1/apps/shop/stop`, {}), { status: 409, body: { code: 'MIGRATION_UNDER_WAY' } });
  goOn();
  await (await fetch(`${url}/v1/migrations/${order.id}/events`)).text();
});

t.test('what cannot be done is refused with a code and the mend', async (t) => {
  const { url } = await toyFleet(t);
  const orders = [
    { body: { app: 'shop', to: 'a' }, status: 409, code: 'ALREADY_THERE' },
    { body: { app: 'shop', to: 'z' }, status: 404, code: 'HOST_UNKNOWN' },
    { body: { app: 'nope', to: 'b' }, status: 404, code: 'APP_UNKNOWN' },
    { body: { app: 'toString', to: 'b' }, status: 404, code: 'APP_UNKNOWN' },
    { body: { app: 'blog', to: 'b' }, status: 409, code: 'APP_HAS_NO_CONTAINER' },
  ];
  for (const { body, status, code } of orders) {
    const answer = await post(`${url}/v1/migrations`, body);
    t.match(answer, { status, body: { code, mend: String, retryable: false } }, code);
  }
});

t.test('a request that is not what the schema says is answered 400', async (t) => {
  const { url } = await toyFleet(t);
  for (const body of [{ app: 'shop' }, { app: 'shop', to: 'b', strategy: 'x' }, { app: 1, to: 'b' }]) {
    t.match(await post(`${url}/v1/migrations`, body), { status: 400, body: { code: 'REQUEST_INVALID' } });
  }
});

t.test('a plan tells what a move would cost by each strategy, and touches nothing', async (t) => {
  const { url, world } = await toyFleet(t);
  const { status, body } = await post(`${url}/v1/plans`, { app: 'shop', to: 'b' });
  t.equal(status, 200);
  const { strategy, reason, predictions, measured } = body as unknown as Plan;
  t.same(
    predictions.map((prediction) => prediction.strategy),
    PREFERENCE,
  );
  t.match(predictions[0], {
    frozenMs: Number,
    holdMs: Number,
    totalMs: Number,
    bytesSent: Number,
    rounds: 0,
  });
  t.ok(predictions.some((prediction) => prediction.strategy === strategy));
  t.match(reason, /^requests are held for \d+ ms/);
  t.match(measured, { rttMs: 1, rateBps: 800_000_000, memoryBytes: 64 << 20, learntFrom: 0 });
  t.match(await get(`${url}/v1/migrations`), { body: { migrations: [] } });
  t.same(world.running(), ['a']);
});

t.test('a plan is refused as the move would be', async (t) => {
  const { url } = await toyFleet(t);
  const refusals: [body: object, status: number, code: string][] = [
    [{ app: 'nope', to: 'b' }, 404, 'APP_UNKNOWN'],
    [{ app: 'shop', to: 'nope' }, 404, 'HOST_UNKNOWN'],
    [{ app: 'shop', to: 'a' }, 409, 'ALREADY_THERE'],
    [{ app: 'shop', to: 'b', maxFreezeMs: 1 }, 409, 'FREEZE_TOO_LONG'],
  ];
  for (const [order, status, code] of refusals) {
    t.match(await post(`${url}/v1/plans`, order), { status, body: { code, mend: String } }, code);
  }
});

t.test('a move that would freeze the app for too long is refused before anything is touched', async (t) => {
  const { url, context, world } = await toyFleet(t);
  const { body } = await post(`${url}/v1/migrations`, { app: 'shop', to: 'b', maxFreezeMs: 1 });
  const { id } = body as { id: string };
  await context.migrations.settled();
  t.match(await get(`${url}/v1/migrations/${id}`), {
    body: { state: 'refused', error: { code: 'FREEZE_TOO_LONG', mend: /^allow \d+ ms/ } },
  });
  t.same(world.running(), ['a']);
  t.same(world.calls, ['a.examine', 'b.admit', 'a.measure']);
});

t.test('what is not there is answered 404', async (t) => {
  const { url } = await toyFleet(t);
  t.match(await get(`${url}/v2`), { status: 404, body: { code: 'NOT_FOUND' } });
  t.match(await get(`${url}/v1/apps/nope`), { status: 404, body: { code: 'APP_UNKNOWN' } });
  t.match(await get(`${url}/v1/migrations/x`), { status: 404, body: { code: 'MIGRATION_UNKNOWN' } });
  t.match(await get(`${url}/v1/migrations/x/events`), { status: 404, body: { code: 'MIGRATION_UNKNOWN' } });
});

t.test('an app is stopped and started, never twice', async (t) => {
  const { url, world, context } = await toyFleet(t);
  t.match(await post(`${url}/v1/apps/shop/start`, { host: 'b' }), {
    status: 409,
    body: { code: 'ALREADY_RUNNING', mend: 'move it with: gateway migrate shop --to b' },
  });
  t.match(context.gates.snapshot('shop'), { target: { host: 'a' } });
  t.match(await post(`${url}/v1/apps/shop/stop`, {}), { status: 200 });
  t.same(world.running(), []);
  t.equal(context.gates.snapshot('shop').target, undefined, 'requests are not sent where it was');
  t.match(await post(`${url}/v1/apps/shop/stop`, {}), { status: 409, body: { code: 'NOT_RUNNING' } });
  t.match(await post(`${url}/v1/apps/shop/start`, { host: 'b' }), { status: 200, body: { host: 'b' } });
  t.same(world.running(), ['b']);
});

t.test('an app is not started while a host that may run it does not answer', async (t) => {
  const { url, world } = await toyFleet(t);
  await post(`${url}/v1/apps/shop/stop`, {});
  world.away.add('a');
  t.match(await post(`${url}/v1/apps/shop/start`, { host: 'b' }), {
    body: { code: 'MAY_RUN_ELSEWHERE', retryable: true },
  });
  t.same(world.running(), []);
});

t.test('one of two copies can be stopped by naming its host', async (t) => {
  const { url, world } = await toyFleet(t);
  (world.hosts.b as { state: string }).state = 'running';
  t.match(await post(`${url}/v1/apps/shop/stop`, { host: 'b' }), { status: 200, body: { host: 'a' } });
  t.same(world.running(), ['a']);
});

t.test('a gateway that is stopping takes no more orders, but still tells', async (t) => {
  const fleet = await toyFleet(t);
  fleet.drain();
  t.match(await post(`${fleet.url}/v1/migrations`, { app: 'shop', to: 'b' }), {
    status: 503,
    body: { code: 'GATEWAY_STOPPED', retryable: true },
  });
  t.equal((await get(`${fleet.url}/v1/apps`)).status, 200);
});

t.test('the status tells which hosts answer', async (t) => {
  const { url, world } = await toyFleet(t);
  world.away.add('b');
  t.match((await get(`${url}/v1/status`)).body, {
    version: '0.1.0',
    hosts: [
      { host: 'a', reachable: true, version: '0.1.0', engines: ['model'] },
      { host: 'b', reachable: false, error: { code: 'AGENT_UNREACHABLE' } },
    ],
    apps: [
      { app: 'shop', kind: 'container', host: 'a', gate: { state: 'open', heldRequests: 0 } },
      { app: 'blog', kind: 'upstream', url: 'http://127.0.0.1:3' },
    ],
  });
});

t.test('the status tells which HAProxys answer', async (t) => {
  const away = new HoldfastError('HAPROXY_SILENT', 'it did not answer', { retryable: true });
  const states = () => [
    { name: '/run/one.sock', isOptional: false, answers: true },
    { name: '10.0.0.5:9999', isOptional: true, answers: false, failure: away },
  ];
  const { url } = await toyFleet(t, { haproxy: { states } });
  t.match((await get(`${url}/v1/status`)).body, {
    haproxys: [
      { haproxy: '/run/one.sock', optional: false, reachable: true },
      { haproxy: '10.0.0.5:9999', optional: true, reachable: false, error: { code: 'HAPROXY_SILENT' } },
    ],
  });
  const { stdout } = await gateway(['status', '--admin', url]);
  t.match(stdout, /^HAPROXY +STATE\n\/run\/one.sock +up\n10.0.0.5:9999 \(optional\) +does not answer$/m);
});

t.test('with a token, every request but the health check must bear it', async (t) => {
  const { url } = await toyFleet(t, { token: 'sesame' });
  t.match(await get(`${url}/v1/apps`), { status: 401, body: { code: 'TOKEN_REQUIRED' } });
  t.equal((await get(`${url}/v1/apps`, { authorization: 'Bearer simsim' })).status, 401);
  t.equal((await get(`${url}/v1/apps`, { authorization: 'Bearer sesame' })).status, 200);
  t.match(await get(`${url}/nowhere`), { status: 401 });
  t.match(await get(`${url}/healthz`), { status: 200, body: { status: 'ok' } });
});

t.test('a web page in the administrator’s browser gets nothing done', async (t) => {
  const { url } = await toyFleet(t, { allowedHosts: ['gateway.example.com'] });
  t.equal(await getAs('rebound.example.com', `${url}/v1/apps`), 403);
  t.equal(await getAs('gateway.example.com:9100', `${url}/v1/apps`), 200);
  t.equal(await getAs('localhost:9100', `${url}/v1/apps`), 200);
  t.equal(await getAs('[::1]:9100', `${url}/v1/apps`), 200);
  for (const type of ['text/plain', 'application/x-www-form-urlencoded']) {
    const answer = await post(`${url}/v1/migrations`, { app: 'shop', to: 'b' }, { 'content-type': type });
    t.match(answer, { status: 415, body: { code: 'JSON_REQUIRED' } });
  }
  const bare = await fetch(`${url}/v1/apps/shop/stop`, { method: 'POST' });
  t.equal(bare.status, 415);
});

t.test('the OpenAPI description names every route with its answers', async (t) => {
  const { url } = await toyFleet(t);
  const { body } = await get(`${url}/v1/openapi.json`);
  t.same(Object.keys(body.paths ?? {}).sort(), [
    '/healthz',
    '/metrics',
    '/v1/apps',
    '/v1/apps/{app}',
    '/v1/apps/{app}/start',
    '/v1/apps/{app}/stop',
    '/v1/migrations',
    '/v1/migrations/{id}',
    '/v1/migrations/{id}/events',
    '/v1/plans',
    '/v1/status',
  ]);
  t.same(Object.keys(body.components?.schemas ?? {}).sort(), [
    'App',
    'Error',
    'Haproxy',
    'Host',
    'Migration',
    'Plan',
  ]);
  t.match(JSON.stringify(body.paths?.['/v1/migrations']?.post), '#/components/schemas/Migration');
});

t.test('the metrics come as Prometheus reads them', async (t) => {
  const { url } = await toyFleet(t);
  const response = await fetch(`${url}/metrics`);
  t.match(response.headers.get('content-type'), 'text/plain; version=0.0.4');
  t.match(await response.text(), '# TYPE holdfast_held_requests gauge');
});
