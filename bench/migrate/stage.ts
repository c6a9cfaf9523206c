import type { GateType } from '../../gateway/config/schema.ts';
import type { Link } from '../../test/lab/lab.ts';
import { createLab, type LabHost } from '../../test/lab/lab.ts';
import { type AppSettings, appContainer, FRONT_PORT } from '../../test/system/configs.ts';
import { type System, startSystem } from '../../test/system/system.ts';
import { frontsOf } from '../fronts.ts';
import { LinkMeter } from '../plain/link-meter.ts';
import { appName, appOf, type Cell } from './cell.ts';

/** Longer than anybody would want to hold, so that the slowest way is measured rather than called off. */
const HOLD_MS = 240_000;

/**
 * Two hosts with agents, and a gateway in front, for one measurement after another. Agents that nothing is asked of
 * cost nothing: what is moved by hand is moved on the same hosts.
 */
export class Stage {
  readonly system: System;
  readonly a: LabHost;
  readonly b: LabHost;
  readonly meter: LinkMeter;

  private constructor(system: System, meter: LinkMeter) {
    this.system = system;
    this.a = system.lab.host('a');
    this.b = system.lab.host('b');
    this.meter = meter;
  }

  /** For the apps of all `cells`; whoever opens it closes it. */
  static async open(options: {
    readonly cells: readonly Cell[];
    readonly gate: GateType;
    readonly packages: readonly string[];
    readonly signal: AbortSignal;
    readonly log: (line: string) => void;
  }): Promise<Stage> {
    const { cells, gate, packages, signal, log } = options;
    const lab = await createLab({ packages, signal, log });
    let system: System | undefined;
    try {
      system = await startSystem({
        lab,
        idle: true,
        haproxys: await frontsOf(gate, log, signal),
        signal,
        gateway(settings) {
          settings.apps = Object.fromEntries(cells.map((cell) => [appName(cell), settingsOf(cell)]));
        },
        agent(settings) {
          settings.containers = Object.fromEntries(
            cells.map((cell) => [appName(cell), appContainer(appOf(cell))]),
          );
        },
      });
      return new Stage(system, await LinkMeter.between(lab.host('a'), lab.host('b')));
    } catch (error) {
      await system?.stop();
      await lab.down();
      throw error;
    }
  }

  /** Where a front of one's own may listen. */
  get front(): { host: string; port: number } {
    return { host: this.system.lab.gatewayAddress, port: FRONT_PORT + 1 };
  }

  setLink(link: Link): Promise<void> {
    return this.system.lab.setLink(link);
  }

  async close(): Promise<void> {
    await this.system.stop();
    await this.system.lab.down();
  }
}

function settingsOf(cell: Cell): AppSettings {
  return { match: [{ host: hostName(cell) }], container: appName(cell), hold: { maxMs: HOLD_MS } };
}

/** The Host header by which the gateway knows the app. */
export function hostName(cell: Cell): string {
  return `${appName(cell)}.test`;
}
