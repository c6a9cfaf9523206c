import t, { type Test } from 'tap';
import { fetchesOnDemand, Strategy } from '../../migrator/events.ts';
import { type Link, parseLink } from '../lab/lab.ts';
import { whyNoLab } from '../lab/needs-lab.ts';
import { APP, appContainer } from '../system/configs.ts';
import { type System, startSystem } from '../system/system.ts';
import { eventually } from './scene.ts';

/** What an app of test/workload/memory tells of itself. */
export interface Told {
  readonly kind: string;
  /** How often it has looked through all of its memory. */
  readonly cycles: number;
  readonly childCycles: number;
  /** Everything that was not as it had been left. */
  readonly damage: readonly string[];
  readonly note?: string;
  readonly [figure: string]: unknown;
}

export interface Kind {
  /** As keeper.pl calls it; with a command of its own it is another program's. */
  readonly kind: string;
  readonly command?: readonly string[];
  /** Goes on from "a move carries ", or "a move is refused for ". */
  readonly name: string;
  /** A figure that goes on growing where the app is whole, besides `cycles`. */
  readonly grows?: string;
  /**
   * Processes or threads of it end all the while. One that ends while its pages are on their way ends CRIU's daemon too,
   * and the app is set back: on demand it is moved only when that is verified, for none ends before all pages are there.
   */
  readonly restless?: boolean;
  /** The code that preflight refuses it with. */
  readonly refused?: string;
  /** @returns why this machine cannot show it */
  readonly unlike?: (told: Told) => string | undefined;
}

const PORT = 8081;
const CYCLES = 3;
/** So that pages are on their way for a while. */
const SLOW = parseLink('30mbit');
const MOUNTS = [{ source: '/opt/holdfast/test/workload/memory', destination: '/srv', readOnly: true }];

/** Run an app for each of `kinds`. Settles when `body` has; what it throws away is the system's logs. */
async function withKeepers(
  title: string,
  kinds: readonly Pick<Kind, 'kind' | 'command'>[],
  body: (t: Test, system: System) => Promise<void>,
  link?: Link,
): Promise<void> {
  const skip = await whyNoLab();
  await t.test(title, { skip, timeout: 175_000 }, async (t) => {
    const system = await startSystem({
      idle: true,
      ...(link === undefined ? {} : { link }),
      agent: ({ containers }) => {
        kinds.forEach(({ kind, command = ['/usr/bin/perl', '/srv/keeper.pl', kind] }, index) => {
          const port = PORT + index;
          const { env, ...plain } = appContainer({});
          const tmpfs = ['/tmp', '/dev/shm'];
          const own = { command, port, health: { path: '/' }, mounts: MOUNTS, tmpfs };
          containers[kind] = { ...plain, ...own, env: { PORT: String(port) } };
        });
        delete containers[APP];
      },
      gateway: ({ apps }) => {
        for (const { kind } of kinds) apps[kind] = { match: [{ host: hostOf(kind) }], container: kind };
        delete apps[APP];
      },
    });
    try {
      await body(t, system);
    } finally {
      if (!t.passing()) t.comment(system.logs(30));
      await system.stop();
    }
  });
}

/** Move each app to and fro, by every strategy, while it goes on writing; it must find its memory as it left it. */
export async function carryAll(kinds: readonly Kind[]): Promise<void> {
  await withKeepers('memory of many kinds', kinds, async (t, system) => {
    for (const kind of kinds) {
      const verb = kind.refused === undefined ? 'carries' : 'is refused for';
      await t.test(`a move ${verb} ${kind.name}`, { timeout: 120_000 }, (t) => carry(t, system, kind));
    }
  });
}

/**
 * Move each app on demand, although its processes end all the while, which may cost the pages of all (see docs/verify.md):
 * then it is whole at its source, as it was at the freeze.
 */
export async function carryOrSetBackAll(kinds: readonly Kind[]): Promise<void> {
  await withKeepers(
    'processes that end while pages come',
    kinds,
    async (t, system) => {
      for (const kind of kinds) {
        await t.test(
          `a move on demand of ${kind.name} ends well, or sets it back`,
          { timeout: 120_000 },
          (t) => carryOrSetBack(t, system, kind),
        );
      }
    },
    SLOW,
  );
}

async function carryOrSetBack(t: Test, system: System, { kind, grows }: Kind): Promise<void> {
  const { admin } = system;
  await admin.startApp(kind, 'a');
  try {
    let at = 'a';
    for (const strategy of Object.values(Strategy).filter(fetchesOnDemand)) {
      const to = at === 'a' ? 'b' : 'a';
      const { outcome, error } = await admin.migrate(kind, to, () => {}, { strategy });
      t.comment(`${strategy}: ${outcome}${error === undefined ? '' : `, ${error.message}`}`);
      if (outcome === 'succeeded') at = to;
      else t.match({ outcome, error }, { outcome: /^(rolled|set)-back$/, error: { code: 'PAGES_LOST' } });
      const running = (await system.instances()).filter(({ id }) => id === kind);
      t.match(running, [{ host: at, status: 'running' }], `it runs on ${at}`);
      t.equal(running.length, 1, 'and nowhere else');
      t.same((await lookedThrough(system, kind, grows)).damage, [], 'it finds its memory as it left it');
    }
  } finally {
    await admin.call('POST', `/v1/apps/${kind}/stop`, {}, 20_000);
  }
}

async function carry(
  t: Test,
  system: System,
  { kind, grows, unlike, refused, restless = false }: Kind,
): Promise<void> {
  const { admin } = system;
  await admin.startApp(kind, 'a');
  try {
    const before = await lookedThrough(system, kind, grows);
    const why = unlike?.(before);
    if (why !== undefined) return void t.pass('not here', { skip: why });
    if (before.note !== undefined) t.comment(before.note);
    if (refused !== undefined) {
      const ended = await admin.migrate(kind, 'b');
      t.match(ended, { outcome: 'refused', error: { code: refused } }, ended.error?.message ?? '');
      t.same((await lookedThrough(system, kind)).damage, [], 'the app runs on');
      return;
    }
    let to = 'b';
    for (const { strategy, verify } of movesOf(restless)) {
      const ended = await admin.migrate(kind, to, () => {}, { strategy, verify });
      t.equal(
        ended.outcome,
        'succeeded',
        `${strategy}${verify ? ', verified' : ''}: ${ended.error?.message ?? 'it is there'}`,
      );
      const { damage } = await lookedThrough(system, kind, grows);
      t.same(damage, [], 'the app finds its memory as it left it, and goes on');
      to = to === 'b' ? 'a' : 'b';
    }
  } finally {
    await admin.call('POST', `/v1/apps/${kind}/stop`, {}, 20_000);
  }
}

/** On demand to and fro: an app that runs on before its memory is there, and one that all of it is compared of. */
function movesOf(restless: boolean): { strategy: Strategy; verify: boolean }[] {
  return Object.values(Strategy).flatMap((strategy) => [
    ...(fetchesOnDemand(strategy) && !restless ? [{ strategy, verify: false }] : []),
    { strategy, verify: true },
  ]);
}

/** What the app tells once it has looked through all of its memory a few times more. */
async function lookedThrough(system: System, kind: string, grows = 'cycles'): Promise<Told> {
  const first = await told(system, kind);
  let last = first;
  await eventually(`${kind} to look through its memory`, async () => {
    last = await told(system, kind);
    const more = (figure: string) => Number(last[figure] ?? 0) - Number(first[figure] ?? 0);
    return last.damage.length > 0 || (more('cycles') >= CYCLES && more(grows) >= CYCLES);
  });
  return last;
}

/** `fetch` cannot name another host than the address. */
async function told(system: System, kind: string): Promise<Told> {
  const { request } = await import('undici');
  const { body } = await request(system.url, {
    headers: { host: hostOf(kind), connection: 'close' },
    signal: AbortSignal.timeout(20_000),
  });
  return (await body.json()) as Told;
}

export const hostOf = (kind: string) => `${kind}.test`;
