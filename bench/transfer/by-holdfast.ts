import { anySignal } from '../../migrator/any-signal.ts';
import { Outcome, Step } from '../../migrator/events.ts';
import type { EndedEvent } from '../../test/system/admin.ts';
import { nowMs } from '../../test/workload/exchange.ts';
import { Prober } from '../migrate/prober.ts';
import type { Measured } from './measurement.ts';
import { RUNC_APP, RUNC_HOST, type Stage } from './stage.ts';

const MOVE_TIMEOUT_MS = 400_000;

export interface Order {
  readonly app: string;
  /** The host's name. */
  readonly to: string;
  readonly strategy: string;
}

/** One move by the gateway of an app that runs on the other host. */
export async function measureHoldfast(stage: Stage, order: Order, signal: AbortSignal): Promise<Measured> {
  const { system, meter } = stage;
  const host = order.app === RUNC_APP ? { host: RUNC_HOST } : {};
  const prober = await Prober.start({ url: system.url, ...host }, signal);
  try {
    await prober.settle();
    const bytesBefore = await meter.bytes();
    const fromMs = nowMs();
    const { ended, lastPassMs } = await follow(stage, order, signal);
    const { outcome, error, figures, predicted } = ended;
    if (outcome !== Outcome.succeeded) throw new Error(`${outcome}: ${error?.message}`);
    await prober.flowing();
    const toMs = nowMs();
    const all = (await meter.bytes()) - bytesBefore;
    const { move } = await prober.finish({ move: { fromMs, toMs } });
    const { layerBytes = 0, fileBytes = 0, bytesSent } = figures;
    return {
      bytes: {
        image: layerBytes,
        files: fileBytes,
        memory: bytesSent === undefined ? null : bytesSent - layerBytes - fileBytes,
        all,
      },
      frozenMs: figures.frozenMs ?? null,
      engineMs: null,
      holdMs: figures.holdMs ?? null,
      totalMs: figures.totalMs,
      lastPassMs,
      predicted: predicted ?? null,
      ...{ blackoutMs: move.blackoutMs, failed: move.failed, lost: move.lost },
    };
  } finally {
    await prober.stop();
  }
}

/** Unmeasured. */
export async function move(stage: Stage, order: Order, signal: AbortSignal): Promise<void> {
  const { outcome, error } = (await follow(stage, order, signal)).ended;
  if (outcome !== Outcome.succeeded) throw new Error(`${outcome}: ${error?.message}`);
}

async function follow(
  stage: Stage,
  order: Order,
  asked: AbortSignal,
): Promise<{ ended: EndedEvent; lastPassMs: number | null }> {
  const { admin } = stage.system;
  const signal = anySignal([asked, AbortSignal.timeout(MOVE_TIMEOUT_MS)]);
  const { id } = (await admin.call('POST', '/v1/migrations', order)) as { id: string };
  let lastPassMs: number | null = null;
  for await (const event of admin.events(id, signal)) {
    if (event.type === 'step-finished' && event.step === Step.send) {
      lastPassMs = event.detail?.lastPassMs ?? null;
    }
    if (event.type === 'ended') return { ended: event, lastPassMs };
  }
  throw new Error(`the events of migration ${id} broke off before its end`);
}
