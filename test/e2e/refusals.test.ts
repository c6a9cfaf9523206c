import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import t, { type Test } from 'tap';
import { Step, Strategy } from '../../migrator/events.ts';
import type { MigrationRecord } from '../../migrator/record.ts';
import { gateway } from '../gateway/cli/run.ts';
import { whyNoLab } from '../lab/needs-lab.ts';
import { OLD_CRIU_DIR, oldCriu } from '../migrator/engine/runc/fixtures/old-criu.ts';
import { APP, appContainer } from '../system/configs.ts';
import { readState } from '../workload/app-state.ts';
import { begins, eventually, Scene } from './scene.ts';

const RUNC = 'runc --root /run/holdfast/runc';
const FILLER = '/run/holdfast/filler';
const MARK = '/srv/only-here';

interface Refusal {
  readonly name: string;
  /** The workload's own app when not given. */
  readonly app?: string;
  readonly code: string;
  /** @returns why it cannot be shown on this machine */
  readonly before?: (scene: Scene) => Promise<string | undefined>;
  readonly after?: (scene: Scene) => Promise<unknown>;
}

/** Apps besides the one under load: how they differ from it. Their users name them in the Host header. */
type Differences = Record<string, unknown> & { mounts?: object[] };
const others: Record<string, { port: number; env?: object; here?: Differences; there?: Differences }> = {
  ring: { port: 8081, env: { UV_USE_IO_URING: '1' }, here: { seccomp: 'unconfined' } },
  loud: { port: 8082 },
  tty: { port: 8083 },
  small: { port: 8084, there: { memoryLimitBytes: 16 << 20 } },
  marked: { port: 8085, here: { mounts: [{ source: MARK, destination: '/mnt', readOnly: true }] } },
};

/** Run a container again from its bundle, by hand and not as the agent would. */
const byHand = (app: string, then: string) =>
  `cd /run/holdfast/bundles/${app} && ${RUNC} delete --force ${app} && ${then}`;

let terminal: ChildProcess | undefined;
let listener: ChildProcess | undefined;

const refusals: Refusal[] = [
  { name: 'io_uring is open', app: 'ring', code: 'IO_URING_OPEN' },
  {
    name: 'its output goes to a file of the host',
    app: 'loud',
    code: 'STDIO_ON_HOST_FILE',
    before: async (scene) => {
      await scene.sh(scene.here, byHand('loud', `${RUNC} run --detach loud </dev/null >/run/out 2>&1`));
      return answers(scene, 'loud');
    },
  },
  {
    name: 'it sits at a terminal',
    app: 'tty',
    code: 'TERMINAL_ATTACHED',
    before: async (scene) => {
      const attach = `sed -i 's/"terminal": false/"terminal": true/' config.json`;
      await scene.sh(scene.here, byHand('tty', attach));
      const run = `${RUNC} run --bundle /run/holdfast/bundles/tty tty`;
      terminal = scene.host(scene.here).spawn('script', ['-qec', run, '/dev/null'], { stdio: 'ignore' });
      return answers(scene, 'tty');
    },
    after: async () => terminal?.kill('SIGKILL'),
  },
  { name: 'the destination allows it too little memory', app: 'small', code: 'MEMORY_TOO_SMALL' },
  { name: 'what it mounts is not at the destination', app: 'marked', code: 'MOUNT_SOURCE_MISSING' },
  {
    name: 'there is too little space at the destination',
    code: 'SPACE_TOO_SMALL',
    before: async (scene) => void (await scene.sh(scene.there, `fallocate -l 100M ${FILLER}`)),
    after: (scene) => scene.sh(scene.there, `rm ${FILLER}`),
  },
  {
    name: 'its port is taken at the destination',
    code: 'PORT_TAKEN',
    before: async (scene) => {
      const script = "net.createServer().listen(8080, () => console.log('ready'))";
      listener = scene
        .host(scene.there)
        .spawn('env', ['-u', 'NODE_OPTIONS', 'node', '-e', script], { stdio: ['ignore', 'pipe', 'inherit'] });
      if (listener.stdout !== null) await once(listener.stdout, 'data');
      return undefined;
    },
    after: async () => {
      if (listener === undefined) return;
      const ended = once(listener, 'exit');
      listener.kill('SIGKILL');
      await ended;
    },
  },
  {
    name: 'the CRIU of the destination is too old',
    code: 'CRIU_TOO_OLD',
    before: async (scene) => {
      const host = scene.host(scene.there);
      const why = await oldCriu({ host, sh: (script) => scene.sh(scene.there, script) });
      if (why === undefined) await scene.sh(scene.there, `ln -s ${OLD_CRIU_DIR}/criu /usr/local/sbin/criu`);
      return why;
    },
    after: (scene) => scene.sh(scene.there, 'rm -f /usr/local/sbin/criu'),
  },
];

const skip = await whyNoLab();
t.test('moves that cannot be made', { skip, timeout: 170_000 }, async (t) => {
  const scene = await Scene.open({
    app: { memoryMib: 16 },
    imagesMib: 128,
    agent: ({ containers }, host) => {
      for (const [app, { port, env, here, there }] of Object.entries(others)) {
        const plain = appContainer({ memoryMib: 0 });
        const { mounts = [], ...rest } = (host === 'a' ? here : (there ?? here)) ?? {};
        containers[app] = {
          ...plain,
          ...rest,
          port,
          env: { ...plain.env, ...env, PORT: String(port) },
          mounts: [...(plain.mounts as object[]), ...mounts],
        };
      }
    },
    gateway: ({ apps }) => {
      for (const app of Object.keys(others)) apps[app] = { match: [{ host: hostOf(app) }], container: app };
    },
  });
  try {
    await scene.sh('a', `mkdir ${MARK}`);
    for (const app of Object.keys(others)) await scene.system.admin.startApp(app, 'a');
    for (const refusal of refusals) {
      await t.test(`a move is refused when ${refusal.name}`, { timeout: 60_000 }, (t) =>
        isRefused(t, scene, refusal),
      );
    }
    await t.test('a move is refused when another one is under way', { timeout: 60_000 }, (t) =>
      isAlone(t, scene),
    );
    const { total, faults } = await scene.finish([]);
    t.match(
      total,
      { failed: 0, lost: 0, duplicated: 0, corrupted: 0, chain: 'unbroken' },
      faults.join('\n') || 'users noticed nothing',
    );
  } finally {
    if (!t.passing()) t.comment(scene.system.logs(40));
    await scene.close();
  }
});

async function isRefused(t: Test, scene: Scene, refusal: Refusal): Promise<void> {
  const { app = APP, code } = refusal;
  const why = await refusal.before?.(scene);
  if (why !== undefined) return void t.pass('not here', { skip: why });
  try {
    const before = await stateOf(scene, app);
    const { code: exit, stdout, stderr } = await command(scene, app);
    t.equal(exit, 2, stderr || 'the exit code says: refused');
    const record = JSON.parse(stdout) as MigrationRecord;
    t.match(record, { state: 'refused', steps: [], error: { code } }, record.error?.message ?? '');
    t.match(record.error?.mend ?? '', /\w/, 'with a mend');
    t.same(await stepsBegun(scene, record.id), [Step.preflight], 'the gate stayed open');
    const after = await stateOf(scene, app);
    t.equal(after.pid, before.pid);
    t.equal(after.startedAt, before.startedAt, 'the app runs on');
    t.same(
      (await scene.leftovers()).filter((left) => left.includes('record ')),
      [],
      'nothing was begun',
    );
  } finally {
    await refusal.after?.(scene);
  }
}

async function isAlone(t: Test, scene: Scene): Promise<void> {
  await scene.slow(scene.there);
  const to = scene.there;
  const ended = await scene.move(
    async (event) => {
      if (!begins(event, Step.send)) return;
      const { code, stderr } = await command(scene, APP, to);
      t.equal(code, 2);
      t.match(stderr, /MIGRATION_UNDER_WAY.*\n.*wait for it/);
    },
    { strategy: Strategy.stopAndCopy },
  );
  t.equal(ended.outcome, 'succeeded', 'the other one is not disturbed');
  await scene.load.flowing(20_000);
}

/** `gateway migrate`, as a user would. */
const command = (scene: Scene, app: string, to = scene.there) =>
  gateway(['migrate', app, '--to', to, '--json', '--admin', scene.system.admin.url]);

const hostOf = (app: string) => `${app}.test`;

const stateOf = (scene: Scene, app: string) =>
  readState(scene.system.url, app === APP ? undefined : hostOf(app));

async function answers(scene: Scene, app: string): Promise<undefined> {
  await eventually(`${app} to answer`, () =>
    stateOf(scene, app).then(
      () => true,
      () => false,
    ),
  );
}

async function stepsBegun(scene: Scene, id: string): Promise<Step[]> {
  const steps: Step[] = [];
  for await (const event of scene.system.admin.events(id)) {
    if (event.type === 'step-started') steps.push(event.step);
  }
  return steps;
}
