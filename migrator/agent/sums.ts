import { Deadlines } from './deadlines.ts';
import { engineOf, type HostContext, unknownMigration, wrongPhase } from './host.ts';
import type { RangeSumsReply, SumsReply } from './protocol.ts';
import { type MigrationRecord, Phase } from './records.ts';

/** In which a container has been dumped or restored, and none of its processes runs. */
const STILL: ReadonlySet<Phase> = new Set([Phase.frozen, Phase.restoredFrozen]);

/** What the container of a migration has in memory here: at its source, and at its destination before it runs on. */
export async function sums(host: HostContext, id: string): Promise<SumsReply> {
  const { container } = stillRecord(host, id);
  return host.turns.take(id, container, Deadlines.sumMs, async (signal) => {
    stillRecord(host, id);
    const workspace = host.workspaces.of(id);
    return { processes: await engineOf(host, container).sumMemory(container, workspace, signal) };
  });
}

/** The same in more detail of one process, by its pid inside. */
export async function rangeSums(host: HostContext, id: string, pid: number): Promise<RangeSumsReply> {
  const { container } = stillRecord(host, id);
  return host.turns.take(id, container, Deadlines.sumMs, async (signal) => {
    stillRecord(host, id);
    const workspace = host.workspaces.of(id);
    return { ranges: await engineOf(host, container).sumRanges(container, workspace, pid, signal) };
  });
}

function stillRecord(host: HostContext, id: string): MigrationRecord {
  const record = host.records.get(id);
  if (record === undefined) throw unknownMigration(id);
  if (!STILL.has(record.phase)) throw wrongPhase(id, record.phase, 'sums');
  return record;
}
