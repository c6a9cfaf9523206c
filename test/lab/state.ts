import { mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { HoldfastError } from '../../migrator/errors.ts';
import type { Link } from './link.ts';
import { labDir, labsDir } from './names.ts';

/** What is written down of a lab, so that another process can enter it or remove it. */
export interface LabState {
  readonly name: string;
  /** The process the lab must not outlive; `null` for one that stays until it is taken down. */
  readonly owner: ProcessIdentity | null;
  readonly subnet: number;
  /** Keeps the network namespace with the bridge. */
  readonly switchPid: number;
  readonly hosts: readonly HostState[];
}

export interface HostState {
  readonly name: string;
  readonly index: number;
  readonly address: string;
  /** The host's PID 1 as the machine sees it. */
  readonly initPid: number;
  readonly link: Link;
  readonly cut: boolean;
}

/** A pid alone can be given again to another process; with its start time it cannot. */
export interface ProcessIdentity {
  readonly pid: number;
  readonly startTicks: string;
}

export function identityOf(pid: number): ProcessIdentity | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return fields[0] === 'Z' ? null : { pid, startTicks: fields[19] ?? '' };
  } catch {
    return null;
  }
}

export function isAlive(identity: ProcessIdentity): boolean {
  return identityOf(identity.pid)?.startTicks === identity.startTicks;
}

const stateFile = (lab: string) => path.join(labDir(lab), 'state.json');

export function writeState(state: LabState): void {
  const file = stateFile(state.name);
  writeFileSync(`${file}.new`, `${JSON.stringify(state, null, 2)}\n`);
  renameSync(`${file}.new`, file);
}

/** The state of a lab, or `null` when there is none or it was never written whole. */
export function readState(lab: string): LabState | null {
  try {
    return JSON.parse(readFileSync(stateFile(lab), 'utf8')) as LabState;
  } catch {
    return null;
  }
}

/** Take the name, and put the first state under it: one step, so that two runs cannot both have it. */
export function claimName(state: LabState): void {
  mkdirSync(path.dirname(labDir(state.name)), { recursive: true });
  try {
    mkdirSync(labDir(state.name));
  } catch (cause) {
    throw new HoldfastError('LAB_EXISTS', `there is a lab named ${state.name} already`, {
      mend: `take it down first: npm run lab -- down --name ${state.name}`,
      cause,
    });
  }
  writeState(state);
}

export function labNames(): string[] {
  try {
    return readdirSync(path.join(labsDir, 'labs'));
  } catch {
    return [];
  }
}
