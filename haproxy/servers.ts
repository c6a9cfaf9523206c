import { type Command, commandLine } from './command.ts';
import { refusal } from './errors.ts';
import { readTable } from './table.ts';

/** A server of a backend, by their names in HAProxy's configuration. */
export interface ServerName {
  readonly backend: string;
  readonly server: string;
}

export const Operation = {
  stopped: 'stopped',
  starting: 'starting',
  running: 'running',
  stopping: 'stopping',
} as const;
export type Operation = (typeof Operation)[keyof typeof Operation];
const OPERATIONS: readonly Operation[] = ['stopped', 'starting', 'running', 'stopping'];

export const Admin = { ready: 'ready', drain: 'drain', maintenance: 'maintenance' } as const;
export type Admin = (typeof Admin)[keyof typeof Admin];
/** Bits of `srv_admin_state`, whatever the reason for it; 0x04 only tells how the server began. */
const MAINTENANCE_BITS = 0x01 | 0x02 | 0x20;
const DRAIN_BITS = 0x08 | 0x10;

export interface ServerState extends ServerName {
  /** Empty for one that has none. */
  readonly address: string;
  readonly port: number;
  readonly operation: Operation;
  readonly admin: Admin;
}

export interface ServerConnections extends ServerName {
  readonly address: string;
  readonly port: number;
  /** Connections at work. */
  readonly used: number;
  /** Connections kept open for the next request. */
  readonly idle: number;
}

export function showServersState(backend?: string): Command<ServerState[]> {
  return {
    line: commandLine('show', 'servers', 'state', ...(backend === undefined ? [] : [backend])),
    repeatable: true,
    read: readState,
  };
}

export function showServersConn(backend?: string): Command<ServerConnections[]> {
  return {
    line: commandLine('show', 'servers', 'conn', ...(backend === undefined ? [] : [backend])),
    repeatable: true,
    read: readConnections,
  };
}

function readState(answer: string): ServerState[] {
  const rows = readTable(answer, 'be_id');
  if (rows === undefined) throw refusal(answer);
  return rows.map((row) => {
    const admin = row.number('srv_admin_state');
    return {
      backend: row.text('be_name'),
      server: row.text('srv_name'),
      address: row.text('srv_addr') === '-' ? '' : row.text('srv_addr'),
      port: row.number('srv_port'),
      operation: OPERATIONS[row.number('srv_op_state')] ?? Operation.stopped,
      admin: adminOf(admin),
    };
  });
}

function adminOf(bits: number): Admin {
  if ((bits & MAINTENANCE_BITS) !== 0) return Admin.maintenance;
  return (bits & DRAIN_BITS) === 0 ? Admin.ready : Admin.drain;
}

function readConnections(answer: string): ServerConnections[] {
  const rows = readTable(answer, 'bkname/svname');
  if (rows === undefined) throw refusal(answer);
  return rows.map((row) => {
    const [backend = '', server = ''] = row.text('bkname/svname').split('/');
    return {
      backend,
      server,
      address: row.text('addr') === '-' ? '' : row.text('addr'),
      port: row.number('port'),
      used: row.number('used_cur'),
      idle: row.number('idle_cur'),
    };
  });
}
