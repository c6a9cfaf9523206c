import { pino } from 'pino';
import t, { type Test } from 'tap';
import { createDockerEngine } from '../../../../migrator/engine/docker/engine.ts';
import { inspected } from './settings/recorded.ts';
import { type Holdings, StandIn } from './settings/stand-in.ts';

const WORKSPACE = { migrationId: 'm1', imagesDir: '/nowhere/images', workDir: '/nowhere/work' };
const STOPPED = { Status: 'exited', Pid: 0 };

async function engineOver(t: Test, holdings: Partial<Holdings> = {}) {
  const standIn = await StandIn.open(holdings);
  t.teardown(standIn.close);
  const dir = t.testdir();
  const engine = createDockerEngine({
    containers: { shop: { engine: 'docker', connections: 'refuse', storage: {} } },
    socket: standIn.socketPath,
    runDir: `${dir}/run`,
    stateDir: `${dir}/state`,
    log: pino({ enabled: false }),
  });
  return { engine, containers: standIn.holdings.containers };
}

const soon = () => AbortSignal.timeout(20_000);

t.test('a stopped container of that name that is there when a move comes outlives its end', async (t) => {
  const { engine, containers } = await engineOver(t, {
    containers: { shop: inspected({ container: { State: STOPPED } }) },
  });
  await t.rejects(engine.prepare('shop', WORKSPACE, soon()), { code: 'CONTAINER_EXISTS' });
  await engine.discard('shop', soon());
  t.ok(containers.shop);
});

t.test('a container that somebody makes of that name during a move outlives its end', async (t) => {
  const { engine, containers } = await engineOver(t);
  await engine.prepare('shop', WORKSPACE, soon());
  containers.shop = inspected({ container: { State: STOPPED } });
  await engine.discard('shop', soon());
  t.ok(containers.shop);
  await engine.discard('shop', soon());
  t.ok(containers.shop, 'also when the end is told twice');
});

t.test('what was made by an agent that did not live to write down its id goes', async (t) => {
  const { engine, containers } = await engineOver(t);
  await engine.prepare('shop', WORKSPACE, soon());
  containers.shop = inspected({
    container: { Id: 'shop', State: { Status: 'created', Pid: 0 } },
    hostConfig: { Runtime: 'holdfast' },
  });
  await engine.discard('shop', soon());
  t.notOk(containers.shop);
});

t.test('a container that is removed by hand goes, whatever it was made for', async (t) => {
  const { engine, containers } = await engineOver(t, {
    containers: { shop: inspected({ container: { Id: 'shop', State: STOPPED } }) },
  });
  await engine.remove('shop', soon());
  t.notOk(containers.shop);
});

t.test('nobody waits without end for a Docker that does not answer to a start', async (t) => {
  const { engine } = await engineOver(t, {
    containers: { shop: inspected({ container: { State: STOPPED } }) },
    hangs: ['/start'],
  });
  await t.rejects(engine.start('shop', AbortSignal.timeout(200)));
});
