import type { Logger } from 'pino';
import type { Engine } from '../engine/engine.ts';
import type { TlsMaterial } from '../pki/tls-files.ts';
import { LinkShare } from '../transfer/link-share.ts';
import { DestinationSide } from './destination.ts';
import type { HostContext } from './host.ts';
import { MigrationRole } from './protocol.ts';
import { isOver, RecordStore } from './records.ts';
import { createServer } from './server.ts';
import { settle } from './settle.ts';
import { SourceSide } from './source.ts';
import { Turns } from './turns.ts';
import { Workspaces } from './workspaces.ts';

export interface AgentOptions {
  readonly host: string;
  readonly version: string;
  /** Port 0 takes a free one. */
  readonly listen: { readonly host: string; readonly port: number };
  readonly runDir: string;
  readonly stateDir: string;
  readonly tls: TlsMaterial;
  /** See `HostContext`. */
  readonly pagesStallMs: number;
  readonly engines: readonly Engine[];
  /** How many threads may read the memory of a container; see docs/agent.md. */
  readonly memory?: { readonly workers?: number };
  /** What this host sends to others for all its moves, in bits a second, at most. */
  readonly limitRateBps?: number | undefined;
  readonly log: Logger;
}

export interface RunningAgent {
  readonly port: number;
  /** Stop answering and destroy what is uncommitted. Containers keep running, frozen ones stay frozen. */
  close(): Promise<void>;
}

/**
 * Take up what an earlier process left, and then answer. Nothing is answered before the host is in a known state.
 *
 * @throws HoldfastError `RECORD_UNREADABLE`, `LISTEN_FAILED`, and what the engine says to the clearing up
 */
export async function startAgent(options: AgentOptions): Promise<RunningAgent> {
  const { log } = options;
  const workspaces = new Workspaces(options.runDir);
  await workspaces.init();
  if (!(await workspaces.onTmpfs())) {
    log.warn(
      { runDir: options.runDir },
      'runDir is not on tmpfs: freezes will take longer, and memory reaches a disk',
    );
  }
  const records = await RecordStore.open(options.stateDir);
  const link = new LinkShare(options);
  const closing = new AbortController();
  const host: HostContext = {
    ...options,
    records,
    workspaces,
    turns: new Turns(),
    link,
    closing: closing.signal,
  };
  const source = new SourceSide(host);
  const destination = new DestinationSide(host);
  await recover(host, source, destination);
  const server = await createServer({ ...options, hostContext: host, source, destination }).catch((error) => {
    closing.abort();
    throw error;
  });
  return {
    port: server.port,
    async close() {
      closing.abort();
      await server.close();
      await destination.close();
      source.close();
    },
  };
}

async function recover(host: HostContext, source: SourceSide, destination: DestinationSide): Promise<void> {
  for (const record of host.records.all()) {
    if (isOver(record)) continue;
    const { id: migrationId, container, role, phase } = record;
    host.log.warn(
      { migrationId, container, role, phase },
      'taking up a migration that an earlier agent left',
    );
    await (role === MigrationRole.source ? source.recover(record) : destination.recover(record));
  }
  // Nobody else tells an engine of an end that its agent did not live to tell it of.
  for (const container of host.engines.flatMap((engine) => engine.containers())) settle(host, container);
  const alive = host.records.all().filter((record) => !isOver(record));
  await host.workspaces.sweep(new Set(alive.map((record) => record.id)));
}
