import { APP_PORT } from '../../test/system/configs.ts';
import { nowMs } from '../../test/workload/exchange.ts';
import { type Hand, moveByHand } from '../plain/hand.ts';
import { Switch } from '../plain/switch.ts';
import { appOf, type Cell } from './cell.ts';
import type { Measured } from './measurement.ts';
import { Prober } from './prober.ts';
import type { Stage } from './stage.ts';

/** The app on host a, moved to b by an engine's own commands, behind a front that is switched over at the end. */
export async function measureByHand(
  stage: Stage,
  cell: Cell,
  hand: Hand,
  signal: AbortSignal,
): Promise<Measured> {
  const { a, b, meter } = stage;
  let front: Switch | undefined;
  let prober: Prober | undefined;
  try {
    // In turn: the second may need what the first has made.
    await hand.makeReady(a, appOf(cell));
    await hand.makeReady(b, appOf(cell));
    await hand.start(a);
    front = await Switch.listen(stage.front, { host: a.address, port: APP_PORT });
    prober = await Prober.start({ url: `http://${stage.front.host}:${stage.front.port}` }, signal);
    await prober.settle();
    const bytesBefore = await meter.bytes();
    const fromMs = nowMs();
    await moveByHand(hand, a, b);
    front.flip({ host: b.address, port: APP_PORT });
    const totalMs = nowMs() - fromMs;
    await prober.flowing();
    const toMs = nowMs();
    const bytesSent = (await meter.bytes()) - bytesBefore;
    const { move } = await prober.finish({ move: { fromMs, toMs } });
    return {
      ...move,
      ...{ strategy: null, frozenMs: null, holdMs: null, predicted: null, ahead: null },
      ...{ totalMs, settledMs: totalMs, bytesSent },
    };
  } finally {
    await Promise.allSettled([prober?.stop(), front?.close(), hand.clear(a), hand.clear(b)]);
  }
}
