import { Agent, type IncomingMessage, type ServerResponse } from 'node:http';
import t, { type Test } from 'tap';
import { OneShotRuntime } from '../../haproxy/runtime.ts';
import { showServersConn } from '../../haproxy/servers.ts';
import { StatKind, showStat } from '../../haproxy/stat.ts';
import { type Edition, editions, eventually, type Haproxy } from './haproxy.ts';
import {
  type App,
  hold,
  isDirect,
  never,
  open,
  type Scene,
  type SceneOptions,
  startApp,
  USER,
} from './scene.ts';

const found = await editions();
const skip = typeof found === 'string' ? found : false;

/** A scene whose app, directly reached, has one request and is in no hurry to answer. */
async function openWithSlowRequest(t: Test, edition: Edition) {
  const scene = await open(t, edition);
  const waiting: ServerResponse[] = [];
  const app = await startApp(t, 'app', (_, response) => waiting.push(response));
  scene.gates.setTarget('shop', app.target);
  await scene.direct();
  const slow = scene.visit('/slow');
  await eventually('the request to be at the app', () => waiting.length === 1);
  return { scene, slow, answer: () => waiting[0]?.end('slow') };
}

/** A scene with the app at `a`, directly reached, and a place `b` to go to. */
async function openWithTwoPlaces(t: Test, edition: Edition, options: SceneOptions = {}) {
  const scene = await open(t, edition, options);
  const a = await startApp(t, 'a');
  const b = await startApp(t, 'b');
  scene.gates.setTarget('shop', a.target);
  await scene.direct();
  return { scene, a, b };
}

/** What a request is answered that comes while the app is held, once that is let go at `b`. */
async function heldUntilAt(b: App, scene: Scene, visit: () => Promise<string>): Promise<string> {
  const held = visit();
  await eventually('it to be held', () => scene.gates.snapshot('shop').heldRequests === 1);
  await scene.gate.release('shop', b.target);
  return held;
}

async function gateTotal({ masterSocket }: Haproxy): Promise<number> {
  const runtime = new OneShotRuntime({ address: { path: masterSocket } });
  const [[stat]] = await runtime.ask(
    [showStat({ proxy: 'holdfast_gate', kinds: [StatKind.backend] })],
    never,
  );
  return stat?.totalSessions ?? Number.NaN;
}

for (const edition of typeof found === 'string' ? [] : found) {
  t.test(edition.name, { skip, timeout: 120_000 }, async (t) => {
    t.test('a move: held, drained, let go elsewhere, and direct again', async (t) => {
      const scene = await open(t, edition);
      const [haproxy] = scene.haproxys as [Haproxy];
      const a = await startApp(t, 'a');
      const b = await startApp(t, 'b');
      t.match(await scene.visit('/nowhere'), /^503 /, 'before anything is known of it');
      scene.gates.setTarget('shop', a.target);
      t.equal(await scene.visit('/early'), '200 a', 'by way of the gate until its health is known');
      await scene.direct();
      const before = await gateTotal(haproxy);
      for (let n = 0; n < 20; n += 1) t.equal(await scene.visit(`/${n}`), '200 a');
      t.equal(await gateTotal(haproxy), before, 'nothing of Holdfast is in the way');

      const report = await hold(scene.gate);
      t.match(report, { drainedRequests: 0, passedRequests: Number });
      t.ok(report.passedRequests >= 20, `${report.passedRequests} went to the app`);
      await eventually('no connection to be left at the source', () => a.connections() === 0);
      const runtime = new OneShotRuntime({ address: { path: haproxy.socket } });
      t.match(await runtime.ask([showServersConn('holdfast_app_shop')], never), [
        [{ server: 'app', used: 0, idle: 0 }],
      ]);
      const held = [];
      for (let n = 0; n < 10; n += 1) {
        held.push(scene.visit(`/held/${n}`));
        await eventually('it to be held', () => scene.gates.snapshot('shop').heldRequests === n + 1);
      }
      const came = a.visits.length;
      t.match(await scene.gate.release('shop', b.target), { heldRequests: 10 });
      t.same(
        await Promise.all(held),
        Array.from({ length: 10 }, () => '200 b'),
      );
      t.same(
        b.visits.map(({ url }) => url),
        Array.from({ length: 10 }, (_, n) => `/held/${n}`),
        'in order',
      );
      await scene.direct();
      t.equal(await scene.visit('/after'), '200 b');
      t.equal(a.visits.length, came, 'and nothing more came to the source');
    });

    t.test(
      'requests in flight are waited for, and a hold that cannot wait leaves all as it was',
      async (t) => {
        const { scene, slow, answer } = await openWithSlowRequest(t, edition);
        const [haproxy] = scene.haproxys as [Haproxy];
        await t.rejects(hold(scene.gate, 60), { code: 'DRAIN_TIMEOUT', message: /1 requests/ });
        t.equal(scene.gates.snapshot('shop').state, 'open');
        await scene.direct();
        const holding = hold(scene.gate);
        await eventually('the gate to be closed', () => scene.gates.snapshot('shop').state !== 'open');
        t.notOk(await isDirect(haproxy), 'HAProxy goes by the gate by then');
        const held = scene.visit('/held');
        await eventually('it to be held', () => scene.gates.snapshot('shop').heldRequests === 1);
        answer();
        t.equal(await slow, '200 slow');
        // HAProxy counts it unless it was over before that: the hold is what waits for it, not the count.
        t.match(await holding, { drainedRequests: Number });
        const b = await startApp(t, 'b');
        await scene.gate.release('shop', b.target);
        t.equal(await held, '200 b');
      },
    );

    t.test('reloaded while it holds and while it does not, no request fails or goes astray', async (t) => {
      const { scene, a, b } = await openWithTwoPlaces(t, edition);
      const [haproxy] = scene.haproxys as [Haproxy];
      await haproxy.reload();
      t.equal(await scene.visit('/reloaded'), '200 a');
      await scene.direct();
      await hold(scene.gate);
      const came = a.visits.length;
      await haproxy.reload();
      t.equal(await heldUntilAt(b, scene, () => scene.visit('/held')), '200 b');
      await haproxy.kill();
      await haproxy.run();
      t.equal(await scene.visit('/restarted'), '200 b');
      await scene.direct();
      t.equal(a.visits.length, came);
    });

    t.test('requests of the worker that is leaving are waited for', async (t) => {
      const { scene, slow, answer } = await openWithSlowRequest(t, edition);
      const [haproxy] = scene.haproxys as [Haproxy];
      await haproxy.reload();
      await t.rejects(hold(scene.gate, 60), { code: 'DRAIN_TIMEOUT' });
      answer();
      t.equal(await slow, '200 slow');
      t.match(await hold(scene.gate), { drainedRequests: Number });
    });

    t.test('a worker that is leaving and still has a user is in the way of no hold', async (t) => {
      const { scene, a, b } = await openWithTwoPlaces(t, edition);
      const [haproxy] = scene.haproxys as [Haproxy];
      const user = { agent: new Agent({ keepAlive: true }) };
      t.teardown(() => user.agent.destroy());
      t.equal(await scene.visit('/before', haproxy, user), '200 a');
      await haproxy.reload();
      t.equal(haproxy.pids().length, 3, 'the user keeps the old worker from ending');
      await hold(scene.gate);
      const visit = () => scene.visit('/by-the-old-worker', haproxy, user);
      t.equal(await heldUntilAt(b, scene, visit), '200 b');
      t.equal(a.visits.length, 1);
    });

    t.test('an app that its configuration lacks cannot be moved, and keeps no other from it', async (t) => {
      const scene = await open(t, edition);
      const app = await startApp(t, 'app');
      scene.gates.setTarget('shop', app.target);
      scene.gates.setTarget('blog', app.target);
      await scene.direct();
      const asked = scene.gate.hold('blog', { drainTimeoutMs: 1_000, signal: never });
      await t.rejects(asked, { code: 'HAPROXY_APP_MISSING', message: /holdfast_app_blog/ });
      t.equal(scene.gates.snapshot('blog').state, 'open');
      await hold(scene.gate);
    });

    t.test('of two HAProxys both hold, or nothing is touched', async (t) => {
      const { scene, b } = await openWithTwoPlaces(t, edition, { count: 2, timeoutMs: 200 });
      const [one, two] = scene.haproxys as [Haproxy, Haproxy];
      two.signal('SIGSTOP');
      await t.rejects(hold(scene.gate), { code: 'HAPROXY_SILENT', retryable: true });
      t.ok(await isDirect(one), 'the other one was not touched');
      t.equal(scene.gates.snapshot('shop').state, 'open');
      t.equal(await scene.visit('/still', one), '200 a');
      two.signal('SIGCONT');
      await hold(scene.gate);
      const held = [scene.visit('/one', one), scene.visit('/two', two)];
      await eventually('both to be held', () => scene.gates.snapshot('shop').heldRequests === 2);
      await scene.gate.release('shop', b.target);
      t.same(await Promise.all(held), ['200 b', '200 b']);
    });

    t.test('an optional HAProxy that stands still is left out, and put right when it goes on', async (t) => {
      const { scene, a, b } = await openWithTwoPlaces(t, edition, { count: 2, timeoutMs: 500, optional: 1 });
      const [one, two] = scene.haproxys as [Haproxy, Haproxy];
      two.signal('SIGSTOP');
      await hold(scene.gate);
      t.ok(scene.logged.includes('HAProxy cannot be reached, and is left out'));
      t.match(scene.gate.states(), [
        { name: one.masterSocket, isOptional: false, answers: true },
        { name: two.masterSocket, isOptional: true, answers: false, failure: { code: 'HAPROXY_SILENT' } },
      ]);
      const held = scene.visit('/held', one);
      await eventually('it to be held', () => scene.gates.snapshot('shop').heldRequests === 1);
      two.signal('SIGCONT');
      await eventually('it to go by the gate again', async () => !(await isDirect(two)));
      const heldToo = scene.visit('/held/too', two);
      await eventually('both to be held', () => scene.gates.snapshot('shop').heldRequests === 2);
      await scene.gate.release('shop', b.target);
      t.same(await Promise.all([held, heldToo]), ['200 b', '200 b']);
      await scene.direct();
      t.equal(await scene.visit('/after', two), '200 b');
      t.equal(a.visits.length, 0);
      await eventually('both to answer', () => scene.gate.states().every(({ answers }) => answers));
    });

    t.test('an optional HAProxy that was down during a move serves the app where it is now', async (t) => {
      const { scene, a, b } = await openWithTwoPlaces(t, edition, { count: 2, optional: 2 });
      const [one, two] = scene.haproxys as [Haproxy, Haproxy];
      await two.kill();
      await hold(scene.gate);
      await scene.gate.release('shop', b.target);
      await two.run();
      t.equal(await scene.visit('/back', two), '200 b', 'at once, by way of the gate');
      await scene.direct();
      t.equal(await scene.visit('/direct', two), '200 b');
      t.equal(a.visits.length, 0);
      await Promise.all([one.kill(), two.kill()]);
      await t.rejects(hold(scene.gate), { code: 'HAPROXY_UNREACHABLE' }, 'but one must be there');
    });

    t.test('in the hold a replica answers what is safe, and the rest waits', async (t) => {
      const answerer = (name: string) => (request: IncomingMessage, response: ServerResponse) =>
        response.end(`${request.method} at ${name}`);
      const [a, b, replica] = await Promise.all(
        ['a', 'b', 'the replica'].map((name) => startApp(t, name, answerer(name))),
      );
      if (a === undefined || b === undefined || replica === undefined) return;
      const scene = await open(t, edition, { replicaUrl: replica.target.url });
      scene.gates.setTarget('shop', a.target);
      await scene.direct();
      t.equal(await scene.visit('/before'), '200 GET at a');
      await hold(scene.gate);
      const written = scene.visit('/write', undefined, { method: 'POST' });
      await eventually('it to be held', () => scene.gates.snapshot('shop').heldRequests === 1);
      t.equal(await scene.visit('/read'), '200 GET at the replica');
      await scene.gate.release('shop', b.target);
      t.equal(await written, '200 POST at b');
      t.equal(await scene.visit('/after'), '200 GET at b');
      t.match(replica.visits, [{ method: 'GET', url: '/read', headers: { 'x-forwarded-for': USER } }]);
      t.equal(replica.visits.length, 1);
    });
  });
}
