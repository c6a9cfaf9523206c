import type { Test } from 'tap';
import type { AppReply } from '../../gateway/admin/schemas.ts';
import { Step } from '../../migrator/events.ts';
import type { MigrationRecord } from '../../migrator/record.ts';
import { gateway } from '../gateway/cli/run.ts';
import { APP_IMAGE } from '../lab/docker.ts';
import { APP } from '../system/configs.ts';
import { DockerScene } from './docker-scene.ts';
import { eventually } from './scene.ts';

export interface Refusal {
  readonly name: string;
  readonly code: string;
  /** Words of `docker run` on the source; the app under load is ordered to move when they are not given. */
  readonly run?: readonly string[];
  /** What it is by which it is refused, in the message. */
  readonly named: RegExp;
  readonly before?: (scene: DockerScene) => Promise<unknown>;
  readonly after?: (scene: DockerScene) => Promise<unknown>;
}

export const MARK = '/srv/only-here';
/** The network and the volume of the app under load. */
export const [NETWORK, VOLUME] = ['front', 'data'];
export const SUBNET = '10.99.0.0/24';

/** The container that is started anew for each refusal of its own. */
export const OTHER = 'other';

/** Order moves that cannot be made, of a container under load and of others beside it. */
export async function refuse(t: Test, refusals: readonly Refusal[]): Promise<void> {
  const scene = await DockerScene.open({
    app: { memoryMib: 8 },
    network: { name: NETWORK, subnet: SUBNET },
    run: ['--network', NETWORK, '-v', `${VOLUME}:/data`, '-e', 'PASSWORD=hunter2-hunter2'],
    others: [OTHER],
    gateway: ({ apps }) => {
      apps[OTHER] = { match: [{ host: 'other.test' }], container: OTHER };
    },
  });
  try {
    await scene.sh('a', `mkdir ${MARK}`);
    await scene.docker('a', 'run', '-d', '--name', 'neighbour', APP_IMAGE, 'sleep', 'infinity');
    for (const refusal of refusals) {
      await t.test(`a move is refused when ${refusal.name}`, { timeout: 60_000 }, (t) =>
        isRefused(t, scene, refusal),
      );
    }
    const { total, faults } = await scene.finish([]);
    t.match(
      total,
      { failed: 0, lost: 0, duplicated: 0, corrupted: 0, chain: 'unbroken' },
      faults.join('\n') || 'users noticed nothing',
    );
    t.notMatch(scene.system.logs(10_000), /hunter2/, 'and no log tells a secret');
  } finally {
    if (!t.passing()) t.comment(scene.system.logs(40));
    await scene.close();
  }
}

async function isRefused(t: Test, scene: DockerScene, refusal: Refusal): Promise<void> {
  const { code, named } = refusal;
  const name = refusal.run === undefined ? APP : OTHER;
  const { address } = scene.host(scene.here);
  try {
    if (refusal.run !== undefined) await runOther(scene, refusal.run, address);
    await refusal.before?.(scene);
    const before = await both(scene, name);
    const {
      code: exit,
      stdout,
      stderr,
    } = await gateway([
      ...['migrate', name, '--to', scene.there, '--json', '--admin', scene.system.admin.url],
    ]);
    t.equal(exit, 2, stderr || 'the exit code says: refused');
    const record = JSON.parse(stdout) as MigrationRecord;
    t.match(record, { state: 'refused', steps: [], error: { code } }, record.error?.message ?? '');
    t.match(record.error?.message.replace(address, 'SOURCE'), named, 'by name');
    t.match(record.error?.mend ?? '', /\w/, 'with a mend');
    t.notMatch(stdout + stderr, /hunter2/);
    const steps: Step[] = [];
    for await (const event of scene.system.admin.events(record.id)) {
      if (event.type === 'step-started') steps.push(event.step);
    }
    t.same(steps, [Step.preflight], 'the gate stayed open');
    t.same(await both(scene, name), before, 'it runs on, and nothing was made at the destination');
  } finally {
    await refusal.after?.(scene);
    if (refusal.run !== undefined) await scene.docker(scene.here, 'rm', '-f', OTHER);
  }
}

async function runOther(scene: DockerScene, words: readonly string[], address: string): Promise<void> {
  const run = words.map((word) => word.replace('SOURCE', address));
  const isReached = run.includes('-p') || run.includes(`container:${APP}`);
  const port = isReached ? [] : ['-p', '8081:8081'];
  await scene.docker(
    scene.here,
    'run',
    '-d',
    '--name',
    OTHER,
    ...port,
    ...run,
    APP_IMAGE,
    'sleep',
    'infinity',
  );
  await eventually('the gateway to know of it', async () => (await place(scene, OTHER)) === scene.here);
}

/** How the container is here, and all that Docker has there. */
async function both(scene: DockerScene, name: string): Promise<string[]> {
  const state = '{{.State.Status}} {{.State.Pid}} {{.State.StartedAt}} {{.HostConfig.RestartPolicy.Name}}';
  const there = [
    ['ps', '-a', '--format', '{{.Names}} {{.State}}'],
    ['volume', 'ls', '-q'],
    ['network', 'ls', '-q'],
  ];
  return Promise.all([
    scene.docker(scene.here, 'inspect', '-f', state, name),
    ...there.map((words) => scene.docker(scene.there, ...words)),
  ]);
}

/** Where the gateway knows a container to run. */
async function place(scene: DockerScene, name: string): Promise<string | undefined> {
  const { apps } = (await scene.system.admin.call('GET', '/v1/apps')) as { apps: AppReply[] };
  return apps.find(({ app }) => app === name)?.host;
}
