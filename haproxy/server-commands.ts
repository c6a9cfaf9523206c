import { type Command, commandLine, readNothing } from './command.ts';
import { refusal } from './errors.ts';
import type { ServerName } from './servers.ts';

/** @returns whether it was another one before */
export function setServerAddress(
  name: ServerName,
  { address, port }: { readonly address: string; readonly port: number },
): Command<boolean> {
  return {
    line: commandLine('set', 'server', path(name), 'addr', address, 'port', `${port}`),
    repeatable: true,
    // HAProxy tells of both in one sentence: the address may have changed and the port not.
    read: (answer) => {
      if (/^(IP|port) changed from |, port changed from /.test(answer)) return true;
      if (/^(no need to change the addr|nothing changed)/.test(answer)) return false;
      throw refusal(answer);
    },
  };
}

/** `maint` ends health checks and new requests, `drain` new requests only. */
export function setServerState(name: ServerName, state: 'ready' | 'drain' | 'maint'): Command<void> {
  return {
    line: commandLine('set', 'server', path(name), 'state', state),
    repeatable: true,
    read: readNothing,
  };
}

/** What the last health check found, until the next one. */
export function setServerHealth(name: ServerName, health: 'up' | 'stopping' | 'down'): Command<void> {
  return {
    line: commandLine('set', 'server', path(name), 'health', health),
    repeatable: true,
    read: readNothing,
  };
}

/**
 * Add a server that is gone again after a reload. It begins in maintenance.
 *
 * @param settings words as of a `server` line: `['check', 'inter', '1s']`
 */
export function addServer(
  name: ServerName,
  address: string,
  settings: readonly string[] = [],
): Command<void> {
  return {
    line: commandLine('add', 'server', path(name), address, ...settings),
    repeatable: false,
    read: (answer) => {
      if (!/^New server registered\.$/m.test(answer)) throw refusal(answer);
    },
  };
}

/** @throws HoldfastError `HAPROXY_SERVER_IN_USE` unless it is in maintenance and has no connection */
export function deleteServer(name: ServerName): Command<void> {
  return {
    line: commandLine('del', 'server', path(name)),
    repeatable: false,
    read: (answer) => {
      if (answer !== 'Server deleted.') throw refusal(answer);
    },
  };
}

export const Waited = { done: 'done', expired: 'expired' } as const;
export type Waited = (typeof Waited)[keyof typeof Waited];

/**
 * Wait until a server can be deleted, `atMostMs` at most. HAProxy 3.0 and newer; not by way of a master, which ends the
 * wait at once, nor with other commands behind it, which HAProxy takes for an interruption.
 *
 * @throws HoldfastError `HAPROXY_SERVER_IN_USE` when the server is not in maintenance
 */
export function waitRemovable(name: ServerName, atMostMs: number): Command<Waited> {
  return {
    line: commandLine('wait', `${atMostMs}ms`, 'srv-removable', path(name)),
    repeatable: true,
    lastsMs: atMostMs,
    read: (answer) => {
      if (answer === 'Done.') return Waited.done;
      if (answer.startsWith('Wait delay expired.')) return Waited.expired;
      throw refusal(
        answer.trim() === 'Failed.' ? 'Only servers in maintenance mode can be waited for.' : answer,
      );
    },
  };
}

function path({ backend, server }: ServerName): string {
  return `${backend}/${server}`;
}
