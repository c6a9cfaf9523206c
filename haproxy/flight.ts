import type { Answers, Command } from './command.ts';
import { showInfo } from './info.ts';
import { APP_SERVER, backendOf } from './names.ts';
import { StatKind, showStat } from './stat.ts';

/** Requests of an app that one worker of HAProxy has sent to it itself. */
export interface Flight {
  readonly pid: number;
  /** Under way, or in a queue. */
  readonly requests: number;
  /** There ever were, in the app's backend. */
  readonly total: number;
  /** There ever were, of those at the app's own server. */
  readonly sent: number;
}

export function flightCommands(app: string) {
  const kinds = [StatKind.backend, StatKind.server];
  return [
    showInfo(),
    showStat({ proxy: backendOf(app), kinds }),
  ] as const satisfies readonly Command<unknown>[];
}

export function flightOf([{ pid }, stats]: Answers<ReturnType<typeof flightCommands>>): Flight {
  const all = stats.find(({ kind }) => kind === StatKind.backend);
  const own = stats.find(({ kind, name }) => kind === StatKind.server && name === APP_SERVER);
  return {
    pid,
    requests: (all?.currentSessions ?? 0) + (all?.queued ?? 0),
    total: all?.totalSessions ?? 0,
    sent: own?.totalSessions ?? 0,
  };
}
