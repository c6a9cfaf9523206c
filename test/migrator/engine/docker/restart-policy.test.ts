import t, { type Test } from 'tap';
import { putBack } from '../../../../migrator/engine/docker/restart-policy.ts';
import { dockerApi } from '../../../../migrator/engine/docker/settings/docker-api.ts';
import { ID, inspected } from './settings/recorded.ts';
import { type Holdings, StandIn } from './settings/stand-in.ts';

interface Ended {
  readonly status: string;
  readonly exitCode?: number;
}

/** @returns what Docker was told to do */
async function told(t: Test, policy: string, ended: Ended | undefined, holdings: Partial<Holdings> = {}) {
  const { status = '', exitCode = 0 } = ended ?? {};
  const State = { Status: status, ExitCode: exitCode, StartedAt: '2025-11-21T19:20:11.423456789Z' };
  const containers = ended === undefined ? {} : { [ID]: inspected({ container: { State } }) };
  const { docker, made, close } = await StandIn.open({ containers, ...holdings });
  t.teardown(close);
  const signal = AbortSignal.timeout(20_000);
  await putBack(dockerApi(docker, signal), ID, { Name: policy, MaximumRetryCount: 0 }, signal);
  return made.map(({ path }) => path.split('/').at(-1));
}

t.test('a container that runs is only given its policy', async (t) => {
  t.same(await told(t, 'always', { status: 'running' }), ['update']);
});

for (const policy of ['always', 'unless-stopped', 'on-failure']) {
  t.test(`one that has ended by itself is started with the policy ${policy}`, async (t) => {
    t.same(await told(t, policy, { status: 'exited', exitCode: 139 }), ['update', 'start']);
  });
}

t.test('one that has ended well is not started where Docker would not', async (t) => {
  t.same(await told(t, 'on-failure', { status: 'exited' }), ['update']);
  t.same(await told(t, 'no', { status: 'exited', exitCode: 1 }), ['update']);
});

t.test('one that somebody has stopped stays so', async (t) => {
  const events = [{ Action: 'stop' }];
  t.same(await told(t, 'always', { status: 'exited', exitCode: 143 }, { events }), ['update']);
});

t.test('one that is gone is left to be', async (t) => {
  t.same(await told(t, 'always', undefined), []);
});
