import t, { type Test } from 'tap';
import { Outcome, type Step, Strategy } from '../../migrator/events.ts';
import { whyNoLab } from '../lab/needs-lab.ts';
import { nowMs } from '../workload/exchange.ts';
import type { Window } from '../workload/report.ts';
import { begins, Scene, type SceneOptions, type UnderWay } from './scene.ts';

export interface Strike {
  readonly at: Step;
  readonly make: (scene: Scene, underWay: UnderWay) => Promise<void>;
}

export interface Fault {
  /** Goes on from "the app is whole although ". */
  readonly name: string;
  /** Before the order. */
  readonly before?: (scene: Scene) => Promise<void>;
  /** Pre-copy if not given. */
  readonly strategy?: Strategy;
  /** The memory of both ends is compared. */
  readonly verify?: boolean;
  /** Struck when these steps begin. Without any `before` is all there is. */
  readonly strike?: Strike | readonly Strike[];
  /** Make good again what was broken, once the app was seen to go on. */
  readonly mend?: (scene: Scene) => Promise<void>;
  /** Several where it depends on how quick the machine is. */
  readonly outcome?: Outcome | readonly Outcome[];
  /** What the migration's error must be, if it did not succeed. */
  readonly code?: RegExp;
  /**
   * Whoever has the users' connections dies, the gateway or HAProxy: what it had in its hands is not counted, but the
   * reason must be that its connections broke.
   */
  readonly frontDies?: boolean;
  /** It is back when the strike has been made: whoever comes from then on is served. */
  readonly frontIsBack?: boolean;
}

const FLOWING_TIMEOUT_MS = 20_000;
const BROKEN = /^(ECONNRESET|ECONNREFUSED|EPIPE|closed without)/;

interface Seen {
  readonly name: string;
  readonly mayFail: boolean;
}

/**
 * One system for all of `faults`, under load from the first to the last. After each of them one instance runs, whole,
 * nothing is left over, and the app can be moved.
 */
export async function surviveAll(
  faults: readonly Fault[],
  options: SceneOptions,
  open: (options: SceneOptions) => Promise<Scene> = Scene.open,
): Promise<void> {
  const skip = await whyNoLab();
  await t.test('moves that fail', { skip, timeout: 170_000 }, async (t) => {
    const scene = await open(options);
    try {
      const windows: (Window & Seen)[] = [];
      for (const fault of faults) {
        const fromMs = nowMs();
        let backMs = Number.POSITIVE_INFINITY;
        await t.test(`the app is whole although ${fault.name}`, { timeout: 60_000 }, async (t) => {
          backMs = await survive(t, scene, fault);
        });
        if (!t.passing()) return; // What comes after a fault that was not survived says nothing.
        const { name, frontDies = false, frontIsBack } = fault;
        windows.push({ fromMs, toMs: nowMs(), name: `although ${name}`, mayFail: frontDies });
        if (frontIsBack)
          windows.push({ fromMs: backMs, toMs: nowMs(), name: `after ${name}`, mayFail: false });
      }
      await t.test('users noticed nothing', async (t) => {
        const report = await scene.finish(windows);
        windows.forEach(({ name, mayFail }, index) => {
          const { failed, requests } = report.windows[index] ?? {};
          if (!mayFail) t.equal(failed, 0, `none of ${requests} failed ${name}`);
          else t.comment(`${failed} of ${requests} requests broke off ${name}`);
        });
        const broken = Object.keys(report.reasons).filter((reason) => !BROKEN.test(reason));
        t.same(broken, [], 'nobody was turned away');
        t.match(
          report.total,
          { lost: 0, duplicated: 0, corrupted: 0, chain: 'unbroken' },
          report.faults.join('\n') || 'all was carried out once, in one chain',
        );
      });
    } finally {
      if (!t.passing()) t.comment(scene.system.logs(60));
      await scene.close();
    }
  });
}

/** @returns when users were served again after the strikes */
async function survive(t: Test, scene: Scene, fault: Fault): Promise<number> {
  const { outcome = Outcome.rolledBack, strategy = Strategy.preCopy, code } = fault;
  const { here, there } = scene;
  await fault.before?.(scene);
  const strikes = [fault.strike ?? []].flat();
  const struck = new Set<Strike>();
  let backMs = nowMs();
  const ended = await scene.move(
    async (event, underWay) => {
      const strike = strikes.find((one) => !struck.has(one) && begins(event, one.at));
      if (strike === undefined) return;
      struck.add(strike);
      await strike.make(scene, underWay);
      if (!fault.frontIsBack) return;
      await scene.load.flowing(FLOWING_TIMEOUT_MS);
      backMs = nowMs();
    },
    {
      strategy,
      ...(fault.verify ? { verify: true } : {}),
    },
  );
  t.equal(struck.size, strikes.length, 'it was struck in time');
  t.ok([outcome].flat().includes(ended.outcome), `${ended.outcome}: ${ended.error?.message ?? 'no error'}`);
  const hasSucceeded = ended.outcome === Outcome.succeeded;
  if (code !== undefined && !hasSucceeded) t.match(ended.error?.code ?? '', code);
  await scene.load.flowing(FLOWING_TIMEOUT_MS);
  await fault.mend?.(scene);
  await assertWhole(t, scene, hasSucceeded ? there : here);
  const further = await scene.move(() => {}, { strategy: Strategy.preCopy });
  t.equal(further.outcome, Outcome.succeeded, further.error?.message ?? 'a further move is made');
  await scene.load.flowing(FLOWING_TIMEOUT_MS);
  await assertWhole(t, scene, scene.here);
  return backMs;
}

async function assertWhole(t: Test, scene: Scene, host: string): Promise<void> {
  t.same(await scene.lasting(), [], 'nothing is left over on either host');
  await scene.system.direct(); // What stands in front is put right, whatever it has been through.
  const instances = await scene.instances();
  t.match(instances, [{ host, status: 'running' }], `one instance, and it runs on ${host}`);
  t.equal(instances.length, 1, 'and no other');
}
