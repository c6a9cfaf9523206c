/** Runs on a lab's host: dumps one frozen container in each way, again and again, a line of JSON for each dump. */
import { mkdirSync, readdirSync, rmSync, statSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { DumpMemory, type Engine, type Workspace } from '../../migrator/engine/engine.ts';
import { createRuncEngine } from '../../migrator/engine/runc/engine.ts';
import { frozenCheckpoint } from '../../migrator/memory/frozen-checkpoint.ts';
import { threadsFor } from '../../migrator/memory/pace.ts';
import { PageIndex } from '../../migrator/memory/page-index.ts';
import { PageReaders } from '../../migrator/memory/page-readers.ts';
import type { PageTable } from '../../migrator/memory/page-table.ts';
import { newPages, type Rounds } from '../../migrator/memory/rounds.ts';
import { BufferStore } from '../../migrator/transfer/buffers.ts';
import { CHUNK_BYTES } from '../../migrator/transfer/frame.ts';
import type { DumpMeasurement, DumpOrder } from './order.ts';

const NAME = 'dump';
const RUN_DIR = '/run/holdfast';
const STATE_DIR = '/var/lib/holdfast';
const TIMEOUT_MS = 120_000;
/** The kernel is at work for a while with the memory that the images of the dump before took. */
const SETTLE_MS = 1_000;
const within = () => AbortSignal.timeout(TIMEOUT_MS);

const order = JSON.parse(process.argv[2] ?? '') as DumpOrder;
mkdirSync(RUN_DIR, { recursive: true });
const engine = createRuncEngine({
  containers: { [NAME]: order.container },
  runDir: RUN_DIR,
  stateDir: STATE_DIR,
  log: { info: () => {}, warn: (...said: unknown[]) => console.error(JSON.stringify(said)) },
});
const readers = new PageReaders({ most: threadsFor(order.workers) });
try {
  await engine.start(NAME, within());
  await measure(engine);
} finally {
  await readers.close();
  await engine.remove(NAME, within());
}

async function measure(on: Engine): Promise<void> {
  const index = new PageIndex();
  const ahead = { index, tables: await readAhead(on, index) };
  await on.freeze(NAME, within());
  const ways = {
    criu: (workspace: Workspace) => byCriu(on, workspace),
    parallel: (workspace: Workspace) =>
      inParallel(on, workspace, { index: new PageIndex({ byContent: false }), tables: new Map() }),
    compare: (workspace: Workspace) => inParallel(on, workspace, ahead),
  };
  for (let round = 0; round <= order.rounds; round++) {
    for (const [way, dump] of Object.entries(ways)) {
      const workspace = freshWorkspace();
      await sleep(SETTLE_MS);
      const { ms, bytes } = await dump(workspace);
      // The first of each finds nothing warm.
      if (round > 0) tell({ way: way as DumpMeasurement['way'], ms, bytes, threads: readers.threads });
    }
  }
}

/** What pre-copy does before the freeze, its pages going nowhere. */
async function readAhead(on: Engine, index: PageIndex): Promise<ReadonlyMap<number, PageTable>> {
  const rounds: Rounds = { count: 0, newBytes: 0, tables: new Map() };
  const buffers = new BufferStore({ sizeBytes: CHUNK_BYTES, keep: 8 });
  const options = { limitBytes: Number.MAX_SAFE_INTEGER, rounds, signal: within() };
  const processes = () => on.processes(NAME);
  for await (const piece of newPages({ processes, readers }, index, buffers, options)) {
    if (piece.type === 'keep') buffers.give(piece.buffer);
  }
  return rounds.tables;
}

interface Dump {
  readonly ms: number;
  readonly bytes: number;
}

/** CRIU writes everything, one process after the other. */
async function byCriu(on: Engine, workspace: Workspace): Promise<Dump> {
  const beganAt = performance.now();
  await on.dump(NAME, workspace, DumpMemory.inImages, within());
  const ms = performance.now() - beganAt;
  const files = readdirSync(workspace.imagesDir).map((file) =>
    statSync(path.join(workspace.imagesDir, file)),
  );
  return { ms, bytes: files.reduce((sum, { size }) => sum + size, 0) };
}

/** CRIU writes all but the memory, which is read here: until the last piece is at hand to be sent. */
async function inParallel(
  on: Engine,
  workspace: Workspace,
  known: { index: PageIndex; tables: ReadonlyMap<number, PageTable> },
): Promise<Dump> {
  const { imagesDir: dir } = workspace;
  const aheadPages = known.index.size;
  const buffers = new BufferStore({ sizeBytes: CHUNK_BYTES, keep: 8 });
  let bytes = 0;
  const beganAt = performance.now();
  const written = on.dump(NAME, workspace, DumpMemory.leftInPlace, within());
  const processes = () => on.processes(NAME);
  const signal = within();
  for await (const piece of frozenCheckpoint({
    ...known,
    dir,
    written,
    processes,
    readers,
    buffers,
    signal,
  })) {
    if (piece.type !== 'data' && piece.type !== 'keep') continue;
    bytes += piece.raw.length;
    if (piece.buffer) buffers.give(piece.buffer);
  }
  const ms = performance.now() - beganAt;
  known.index.forgetFrom(aheadPages);
  return { ms, bytes };
}

function freshWorkspace(): Workspace {
  const [imagesDir, workDir] = [path.join(RUN_DIR, 'dump-images'), path.join(RUN_DIR, 'dump-work')];
  for (const dir of [imagesDir, workDir]) {
    rmSync(dir, { recursive: true, force: true });
    mkdirSync(dir);
  }
  return { migrationId: 'bench', imagesDir, workDir };
}

function tell(measurement: DumpMeasurement): void {
  process.stdout.write(`${JSON.stringify(measurement)}\n`);
}
