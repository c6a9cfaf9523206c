import { setTimeout as sleep } from 'node:timers/promises';
import { DumpMemory } from '../engine/engine.ts';
import { type ErrorBody, fromErrorBody, HoldfastError, toErrorBody } from '../errors.ts';
import { pagesLost } from '../pager/errors.ts';
import { adoptPager, type Pager, startPager } from '../pager/pager.ts';
import { type PagerFigures, PagerState, type PagerStatus } from '../pager/protocol.ts';
import { Deadlines } from './deadlines.ts';
import { engineOf, type HostContext, unknownMigration, wrongPhase } from './host.ts';
import type { PageInReply } from './protocol.ts';
import { type MigrationRecord, Phase } from './records.ts';
import { settle } from './settle.ts';

const RETRY_MS = 1_000;

interface Paged {
  readonly pager: Pager;
  /** Settles when a restore may begin. */
  listening?: Promise<void>;
}

/**
 * What a destination does for memory that is fetched on demand. Each migration has a pager, a process of its own, from
 * `prepare` on; once it is committed, the pager's end decides whether the instance is for good.
 */
export class Pagers {
  readonly #host: HostContext;
  readonly #paged = new Map<string, Paged>();
  /** Committed instances that still need their source: settles when they do not, or are gone. */
  readonly #followed = new Map<string, Promise<void>>();
  readonly #closing = new AbortController();

  constructor(host: HostContext) {
    this.#host = host;
  }

  /** Settles when the links to the source stand ready. */
  async start(id: string, sourceUrl: string, signal: AbortSignal): Promise<void> {
    const { workDir } = this.#host.workspaces.of(id);
    const { tls, pagesStallMs: stallMs } = this.#host;
    const pager = await startPager({ workDir, migrationId: id, sourceUrl, tls, stallMs }, signal);
    this.#paged.set(id, { pager });
  }

  /** The checkpoint is here: have the pager get ready for the restore, which need not have been asked for yet. */
  listen(id: string, container: string): void {
    const paged = this.#paged.get(id);
    if (!paged) return;
    const { imagesDir } = this.#host.workspaces.of(id);
    paged.listening = (async () => {
      const cgroupDir = await engineOf(this.#host, container).cgroupDir(container);
      await paged.pager.serve({ imagesDir, cgroupDir }, AbortSignal.timeout(Deadlines.restoreMs));
    })();
    paged.listening.catch(() => {}); // Told by `memoryOf`, which may come later or never.
  }

  /** Where the memory of what is to be restored will be. */
  planned(id: string): DumpMemory {
    return this.#paged.has(id) ? DumpMemory.leftInPlace : DumpMemory.inImages;
  }

  /** Where the memory of what is to be restored is. Settles when it can be had. */
  async memoryOf(id: string): Promise<DumpMemory> {
    const paged = this.#paged.get(id);
    if (!paged) return DumpMemory.inImages;
    await paged.listening;
    return DumpMemory.leftInPlace;
  }

  /**
   * How it stands with an instance that is for good as of now: whether it still needs its source, and if not, what
   * fetching its memory came to.
   *
   * @throws HoldfastError `PAGES_LOST` when there is nothing left of it
   */
  async atCommit(id: string, signal: AbortSignal): Promise<Pick<MigrationRecord, 'phase' | 'pageIn'>> {
    const paged = this.#paged.get(id);
    if (!paged) return { phase: Phase.committed };
    const { state, error, figures } = await paged.pager.status(signal);
    if (state === PagerState.failed || state === PagerState.stopped) throw lostBy(error);
    if (state !== PagerState.complete) return { phase: Phase.paging };
    return { phase: Phase.committed, pageIn: replyOf(figures) };
  }

  /** It is on record that its pages are all here. */
  forget(id: string): void {
    this.#paged.delete(id);
  }

  /** From its commit on: see a migration through to its last page, or to the end of its instance. */
  follow(id: string): void {
    const followed = this.#followToEnd(id).finally(() => this.#followed.delete(id));
    this.#followed.set(id, followed);
    followed.catch((err: unknown) => {
      if (!this.#closing.signal.aborted)
        this.#host.log.error({ migrationId: id, err }, 'its pages are not watched');
    });
  }

  /** Go on where an earlier process of this agent was. */
  async adopt(id: string): Promise<void> {
    const pager = await adoptPager(this.#host.workspaces.of(id).workDir);
    if (pager) this.#paged.set(id, { pager });
    this.follow(id);
  }

  /**
   * Settles when every page is at an instance that is not committed yet.
   *
   * @throws HoldfastError `PAGES_LOST` when there is nothing left of it, `DEADLINE`
   */
  async whole(id: string, signal: AbortSignal): Promise<PageInReply> {
    const status = await this.#paged.get(id)?.pager.ended(signal);
    if (status?.state !== PagerState.complete) throw lostBy(status?.error);
    return replyOf(status.figures);
  }

  /** Settles when every page is at a committed instance. @throws HoldfastError `PAGES_LOST`, `DEADLINE` */
  async pageIn(id: string): Promise<PageInReply> {
    const soon = AbortSignal.timeout(Deadlines.pageInMs);
    const followed = this.#followed.get(id);
    if (followed) await untilFired(followed, soon);
    const record = this.#host.records.get(id);
    if (!record) throw unknownMigration(id);
    if (record.phase === Phase.lost) throw lostBy(record.error);
    if (record.phase === Phase.committed && record.pageIn) return record.pageIn;
    throw wrongPhase(id, record.phase, 'page-in');
  }

  /** End what there is, after its instance. Settles at once when there is nothing. */
  async stop(id: string, signal: AbortSignal): Promise<void> {
    const pager = this.#paged.get(id)?.pager ?? (await adoptPager(this.#host.workspaces.of(id).workDir));
    await pager?.stop(signal);
    this.#paged.delete(id);
  }

  /** What is committed goes on without this process. */
  close(): void {
    this.#closing.abort();
  }

  async #followToEnd(id: string): Promise<void> {
    const { signal } = this.#closing;
    const pager = this.#paged.get(id)?.pager;
    const status = await pager?.ended(signal);
    for (;;) {
      try {
        await this.#settle(id, status);
        this.#paged.delete(id);
        return;
      } catch (err) {
        this.#host.log.error(
          { migrationId: id, err },
          'the end of its pages cannot be dealt with: trying again',
        );
      }
      await sleep(RETRY_MS, undefined, { signal });
    }
  }

  async #settle(id: string, status: PagerStatus | undefined): Promise<void> {
    const { records, turns, workspaces, log } = this.#host;
    const known = records.get(id) as MigrationRecord;
    const { container } = known;
    await turns.take(id, container, Deadlines.undoMs, async (signal) => {
      if (status?.state === PagerState.complete) {
        await records.save({ ...known, phase: Phase.committed, pageIn: replyOf(status.figures) });
        settle(this.#host, container);
      } else {
        const error = toErrorBody(lostBy(status?.error));
        log.error({ migrationId: id, container, error }, 'the instance is gone: its pages are lost');
        await engineOf(this.#host, container).discard(container, signal);
        await records.save({ ...known, phase: Phase.lost, error });
      }
      await workspaces.remove(id);
    });
  }
}

function replyOf(figures: PagerFigures): PageInReply {
  const { servingMs, fromStoreBytes, fromSourceBytes, waits, bytesReceived, bytesSent } = figures;
  return {
    pageInMs: servingMs,
    fromStoreBytes,
    fromSourceBytes,
    waits,
    bytesSent: bytesReceived + bytesSent,
  };
}

/** Whatever a pager ended of: whoever was restored without its pages is gone. */
function lostBy(error: ErrorBody | PagerStatus['error']): HoldfastError {
  if (error?.code === 'PAGES_LOST') return fromErrorBody(error as ErrorBody);
  return pagesLost(error?.message ?? 'whoever brought them has ended');
}

async function untilFired(work: Promise<void>, signal: AbortSignal): Promise<void> {
  let fire = () => {};
  const fired = new Promise<never>((_, reject) => {
    fire = () => reject(new HoldfastError('DEADLINE', 'pages are still on their way', { retryable: true }));
    signal.addEventListener('abort', fire, { once: true });
  });
  try {
    await Promise.race([work, fired]);
  } finally {
    signal.removeEventListener('abort', fire);
  }
}
