import { setTimeout as delay } from 'node:timers/promises';
import type { GateType } from '../../gateway/config/schema.ts';
import { type MigrationEvent, Outcome, Step } from '../../migrator/events.ts';
import { type System, startSystem } from '../../test/system/system.ts';
import { nowMs } from '../../test/workload/exchange.ts';
import { RemoteLoad } from '../../test/workload/remote-load.ts';
import { frontsOf } from '../fronts.ts';
import type { GatesOptions } from './options.ts';
import type { Move } from './report.ts';

const CLIENTS = 32;
/** Load alone before a move. */
const SETTLE_MS = 500;
const AFTERWARDS_MS = 200;
const FLOWING_TIMEOUT_MS = 30_000;
const LINK = { rateBps: 1_000_000_000 };

/** An app behind a gate, to be moved to and fro. */
export class Stage {
  readonly #system: System;
  readonly #options: GatesOptions;
  #here = 'a';

  private constructor(system: System, options: GatesOptions) {
    this.#system = system;
    this.#options = options;
  }

  /** Whoever opens it must `close` it. */
  static async open(gate: GateType, options: GatesOptions, signal: AbortSignal): Promise<Stage> {
    const haproxys = await frontsOf(gate, () => {}, signal);
    const { memoryMib } = options;
    return new Stage(await startSystem({ link: LINK, app: { memoryMib }, haproxys, signal }), options);
  }

  /** To and fro unmeasured: agents that have been up for a while have done it before. */
  async warmUp(signal: AbortSignal): Promise<void> {
    for (let n = 0; n < 2; n += 1) await this.measure(signal);
  }

  async measure(signal: AbortSignal): Promise<Omit<Move, 'gate' | 'round'>> {
    const { ratePerS, strategy } = this.#options;
    const system = this.#system;
    await system.direct();
    const load = await RemoteLoad.start({ url: system.url, ratePerS, clients: CLIENTS });
    try {
      await delay(SETTLE_MS, undefined, { signal });
      const there = this.#here === 'a' ? 'b' : 'a';
      let holdStepMs = 0;
      const onEvent = (event: MigrationEvent) => {
        if (event.type === 'step-finished' && event.step === Step.hold) holdStepMs = event.durationMs;
      };
      const fromMs = nowMs();
      const { outcome, error, figures } = await system.migrate(there, onEvent, { strategy });
      if (outcome !== Outcome.succeeded) {
        throw new Error(`${outcome}: ${error?.message}\n${system.logs()}`);
      }
      this.#here = there;
      await load.flowing(FLOWING_TIMEOUT_MS);
      const toMs = nowMs();
      await delay(AFTERWARDS_MS, undefined, { signal });
      const { windows, total } = await load.finish([{ fromMs, toMs }]);
      const { failed, lost, requests } = total;
      return {
        blackoutMs: windows[0]?.blackoutMs ?? 0,
        holdMs: figures.holdMs ?? 0,
        frozenMs: figures.frozenMs ?? 0,
        holdStepMs,
        requests,
        // The visitors of earlier moves would count as doubled: each load knows of its own requests only.
        faults: failed + lost,
      };
    } finally {
      await load.stop();
    }
  }

  async close(): Promise<void> {
    await this.#system.stop();
  }
}
