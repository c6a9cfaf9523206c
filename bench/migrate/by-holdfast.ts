import { anySignal } from '../../migrator/any-signal.ts';
import { type MigrationEvent, Outcome, Step } from '../../migrator/events.ts';
import type { EndedEvent } from '../../test/system/admin.ts';
import { nowMs } from '../../test/workload/exchange.ts';
import type { Window } from '../../test/workload/report.ts';
import { agentCpuMs } from './agent-cpu.ts';
import { appName, type Cell } from './cell.ts';
import type { Measured, Predicted } from './measurement.ts';
import { Prober } from './prober.ts';
import { hostName, type Stage } from './stage.ts';

const MOVE_TIMEOUT_MS = 400_000;
const STOP_TIMEOUT_MS = 30_000;

/** The app on host a, moved to b by the gateway. When this throws, the stage is not to be used again. */
export async function measureHoldfast(
  stage: Stage,
  cell: Cell,
  strategy: string,
  signal: AbortSignal,
): Promise<Measured> {
  const { system, meter } = stage;
  const app = appName(cell);
  await system.admin.startApp(app, 'a');
  let prober: Prober | undefined;
  try {
    await system.direct(app);
    prober = await Prober.start({ url: system.url, host: hostName(cell) }, signal);
    await prober.settle();
    const bytesBefore = await meter.bytes();
    const fromMs = nowMs();
    const { taken, ended, rounds } = await follow(stage, { app, to: 'b', strategy }, signal);
    const settledMs = nowMs() - fromMs;
    const { outcome, error, figures, predicted } = ended;
    if (outcome !== Outcome.succeeded) throw new Error(`${outcome}: ${error?.message}`);
    await prober.flowing();
    const toMs = nowMs();
    const bytesSent = (await meter.bytes()) - bytesBefore;
    const seen = await prober.finish({
      move: { fromMs, toMs },
      ...(rounds === undefined ? {} : { rounds: rounds.window }),
    });
    await system.admin.call('POST', `/v1/apps/${app}/stop`, {}, STOP_TIMEOUT_MS);
    return {
      ...seen.move,
      strategy: taken,
      frozenMs: figures.frozenMs ?? null,
      holdMs: figures.holdMs ?? null,
      totalMs: figures.totalMs,
      settledMs,
      bytesSent,
      predicted: predicted === undefined ? null : costOf(predicted),
      ahead:
        rounds === undefined || seen.p99RoundsMs === null
          ? null
          : {
              durationMs: rounds.window.toMs - rounds.window.fromMs,
              p99BeforeMs: seen.p99BeforeMs,
              p99Ms: seen.p99RoundsMs,
              agentCores: rounds.cpuMs / (rounds.window.toMs - rounds.window.fromMs),
            },
    };
  } finally {
    await prober?.stop();
  }
}

/**
 * Move a small app to and fro once by each strategy, unmeasured: agents of hosts that have been up for a while have
 * done it before.
 */
export async function warmUp(
  stage: Stage,
  cell: Cell,
  strategies: readonly string[],
  signal: AbortSignal,
): Promise<void> {
  const { admin } = stage.system;
  const app = appName(cell);
  await admin.startApp(app, 'a');
  // One that fails shows where it is measured.
  for (const strategy of strategies) {
    for (const to of ['b', 'a']) await follow(stage, { app, to, strategy }, signal);
  }
  await admin.call('POST', `/v1/apps/${app}/stop`, {}, STOP_TIMEOUT_MS);
}

function costOf({ frozenMs, holdMs, totalMs, bytesSent }: Predicted): Predicted {
  return { frozenMs, holdMs, totalMs, bytesSent };
}

interface Followed {
  readonly taken: string;
  readonly ended: EndedEvent;
  readonly rounds: { readonly window: Window; readonly cpuMs: number } | undefined;
}

async function follow(
  stage: Stage,
  order: { app: string; to: string; strategy: string },
  asked: AbortSignal,
): Promise<Followed> {
  const { admin } = stage.system;
  const signal = anySignal([asked, AbortSignal.timeout(MOVE_TIMEOUT_MS)]);
  const agent = stage.system.agent('a');
  const { id } = (await admin.call('POST', '/v1/migrations', order)) as { id: string };
  let taken = order.strategy;
  let began: { atMs: number; cpuMs: number } | undefined;
  let rounds: Followed['rounds'];
  for await (const event of admin.events(id, signal)) {
    if (event.type === 'planned') taken = event.strategy;
    if (isOfRounds(event, 'step-started')) began = { atMs: nowMs(), cpuMs: agentCpuMs(agent.pid) };
    if (isOfRounds(event, 'step-finished') && began !== undefined) {
      rounds = {
        window: { fromMs: began.atMs, toMs: nowMs() },
        cpuMs: agentCpuMs(agent.pid) - began.cpuMs,
      };
    }
    if (event.type === 'ended') return { taken, ended: event, rounds };
  }
  throw new Error(`the events of migration ${id} broke off before its end`);
}

function isOfRounds(event: MigrationEvent, type: 'step-started' | 'step-finished'): boolean {
  return event.type === type && event.step === Step.preCopy;
}
