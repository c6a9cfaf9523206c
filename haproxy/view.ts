import type { Answers, Command } from './command.ts';
import { showInfo } from './info.ts';
import { showMap } from './maps.ts';
import { APP_SERVER, backendOf, Way } from './names.ts';
import { type Admin, showServersState } from './servers.ts';
import { StatKind, showStat } from './stat.ts';

/** How one app stands in one worker of HAProxy. */
export interface AppView {
  readonly way: Way;
  /** Whether the map has an entry for it at all. */
  readonly isMapped: boolean;
  readonly address: string;
  readonly port: number;
  readonly admin: Admin;
  /** A health check has passed since the server was last made ready. */
  readonly isHealthy: boolean;
  /** Requests that ever went to it. */
  readonly totalRequests: number;
}

export interface View {
  readonly pid: number;
  readonly isStopping: boolean;
  /** Those that its configuration has; the others go by way of the gate for good. */
  readonly apps: ReadonlyMap<string, AppView>;
}

/** What to ask of a worker to see how apps stand in it. */
export function viewCommands(map: string) {
  return [
    showInfo(),
    showMap(map),
    showServersState(),
    showStat({ kinds: [StatKind.server] }),
  ] as const satisfies readonly Command<unknown>[];
}

export function viewOf(
  apps: Iterable<string>,
  [info, entries, states, stats]: Answers<ReturnType<typeof viewCommands>>,
): View {
  const views = [...apps].flatMap((app): [string, AppView][] => {
    const backend = backendOf(app);
    const state = states.find((one) => one.backend === backend && one.server === APP_SERVER);
    const stat = stats.find((one) => one.proxy === backend && one.name === APP_SERVER);
    if (state === undefined || stat === undefined) return [];
    const entry = entries.find(({ key }) => key === app);
    const { address, port, admin } = state;
    const view: AppView = {
      way: entry?.value === Way.direct ? Way.direct : Way.gate,
      isMapped: entry !== undefined,
      address,
      port,
      admin,
      isHealthy: stat.status.startsWith('UP') && stat.checkHealth >= stat.checkRise + stat.checkFall - 1,
      totalRequests: stat.totalSessions,
    };
    return [[app, view]];
  });
  return { pid: info.pid, isStopping: info.isStopping, apps: new Map(views) };
}
