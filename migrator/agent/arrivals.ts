import type { IncomingMessage, ServerResponse } from 'node:http';
import { hastily, prepareHaste } from '../haste.ts';
import { PARENT_DIR } from '../memory/parent.ts';
import { downloadImages } from '../transfer/download.ts';
import { KeptPages } from '../transfer/kept-pages.ts';
import { Deadlines } from './deadlines.ts';
import { type HostContext, wrongPhase } from './host.ts';
import { type Leases, leasedRecord } from './lease.ts';
import { Upload } from './protocol.ts';
import { Phase } from './records.ts';
import { Reserve } from './reserve.ts';
import { roomToKeep } from './room.ts';

/** A checkpoint holds the memory and, for each process and file, a little more; memory may grow until the freeze. */
const LIMIT_PER_MEMORY_BYTE = 1.5;
const LIMIT_BASE_BYTES = 64 * 1024 * 1024;
/** Preflights whose migration never came are forgotten, the oldest first. */
const ADMITTED_KEPT = 64;

interface Admitted {
  readonly memoryBytes: number;
  /** How large the checkpoint may be. */
  readonly limitBytes: number;
}

interface Awaited {
  /** What was sent ahead. */
  readonly kept: KeptPages;
  readonly keepBytes: number;
  /** For the restored app; undefined where memory is short. */
  readonly reserve: Reserve | undefined;
  readonly leaseMs: number;
  /** More than memory is to come: the lease begins when this host has been told that the freeze is next. */
  readonly standsBy: boolean;
}

/** What arrives at a destination before its restore: pages sent ahead, then the checkpoint. */
export class Arrivals {
  readonly #host: HostContext;
  readonly #leases: Leases;
  readonly #onCheckpoint: (id: string, container: string) => void;
  readonly #admitted = new Map<string, Admitted>();
  readonly #awaited = new Map<string, Awaited>();

  /** @param onCheckpoint called when a checkpoint is here as a whole */
  constructor(host: HostContext, leases: Leases, onCheckpoint: (id: string, container: string) => void) {
    this.#host = host;
    this.#leases = leases;
    this.#onCheckpoint = onCheckpoint;
  }

  /** What a migration is to bring, which bounds what it may. */
  admit(id: string, memoryBytes: number): void {
    const limitBytes = Math.ceil(memoryBytes * LIMIT_PER_MEMORY_BYTE) + LIMIT_BASE_BYTES;
    this.#admitted.set(id, { memoryBytes, limitBytes });
    for (const oldest of [...this.#admitted.keys()].slice(0, -ADMITTED_KEPT)) this.#admitted.delete(oldest);
  }

  /** How many bytes of pages sent ahead can be kept here now. @throws HoldfastError when it was not admitted */
  async room(id: string): Promise<number> {
    const admitted = this.#admitted.get(id);
    if (!admitted) throw wrongPhase(id, 'not admitted', 'prepare');
    return roomToKeep({
      ...admitted,
      availableBytes: process.availableMemory(),
      imagesInMemory: await this.#host.workspaces.onTmpfs(),
    });
  }

  /** From now on it may come. The lease begins, unless more is to be brought first. */
  expect(id: string, awaited: Omit<Awaited, 'kept' | 'reserve'>): void {
    const { keepBytes } = awaited;
    this.end(id); // Of an attempt before this one.
    const reserve = keepBytes > 0 ? new Reserve(this.#admitted.get(id)?.memoryBytes ?? 0) : undefined;
    this.#awaited.set(id, { ...awaited, kept: new KeptPages({ limitBytes: keepBytes }), reserve });
    this.#beginLease(id);
  }

  /** All that was to be brought ahead is here, and the freeze is next. The lease begins. */
  stoodBy(id: string): void {
    this.#awaited.set(id, { ...this.#awaitedOf(id, 'stand-by'), standsBy: false });
    this.#beginLease(id);
  }

  /** Whether uploads of this migration are awaited. @throws HoldfastError when they are not */
  offer(id: string): { keepBytes: number } {
    this.#record(id, 'images', [Phase.prepared, Phase.received]);
    return { keepBytes: this.#awaited.get(id)?.keepBytes ?? 0 };
  }

  /** Take an upload in. The response is this method's, from its first byte to its end. */
  async receive(id: string, what: Upload, request: IncomingMessage, response: ServerResponse): Promise<void> {
    await (what === Upload.pages
      ? this.#receivePages(id, request, response)
      : this.#receiveCheckpoint(id, request, response));
  }

  /** Nothing more is to come. The memory of what was kept is free, and what was set aside for the restore. */
  end(id: string): void {
    const reserve = this.#awaited.get(id)?.reserve;
    this.#awaited.delete(id);
    reserve?.release().catch((err: unknown) => {
      this.#host.log.warn({ migrationId: id, err }, 'memory that was set aside could not be given back');
    });
  }

  /** The migration is over. */
  forget(id: string): void {
    this.#admitted.delete(id);
    this.end(id);
  }

  /** The lease waits meanwhile: pages are sent ahead for as long as it takes, and nothing runs here yet. */
  async #receivePages(id: string, request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { container } = this.#record(id, 'pages', [Phase.prepared]);
    await this.#host.turns.take(id, container, Deadlines.preCopyMs, async (signal) => {
      this.#record(id, 'pages', [Phase.prepared]);
      const awaited = this.#awaitedOf(id, 'pages');
      // At once, so that nothing of an attempt before this one takes memory meanwhile.
      const kept = new KeptPages({ limitBytes: awaited.keepBytes });
      this.#awaited.set(id, { ...awaited, kept });
      if (!awaited.standsBy) this.#leases.begin(id, Deadlines.preCopyMs);
      try {
        const workspace = this.#host.workspaces.of(id);
        await this.#host.workspaces.emptyImages(workspace);
        await downloadImages(request, response, {
          dir: workspace.imagesDir,
          kept,
          limitBytes: this.#limitOf(id),
          onWhole: async () => {},
          signal,
        });
        prepareHaste();
      } finally {
        if (!awaited.standsBy && !this.#leases.isFenced(id)) this.#beginLease(id);
      }
    });
  }

  async #receiveCheckpoint(id: string, request: IncomingMessage, response: ServerResponse): Promise<void> {
    const phases = [Phase.prepared, Phase.received];
    const { container } = this.#record(id, 'images', phases);
    await this.#host.turns.take(id, container, Deadlines.sendMs, async (signal) => {
      const record = this.#record(id, 'images', phases);
      const workspace = this.#host.workspaces.of(id);
      await this.#host.workspaces.emptyImages(workspace, PARENT_DIR);
      await this.#host.records.note({ ...record, phase: Phase.prepared });
      try {
        const { kept } = this.#awaitedOf(id, 'images');
        await kept.beginCheckpoint(this.#limitOf(id));
        const download = () =>
          downloadImages(request, response, {
            dir: workspace.imagesDir,
            kept,
            limitBytes: this.#limitOf(id),
            onWhole: () => this.#host.records.note({ ...record, phase: Phase.received }),
            signal,
          });
        await hastily(download);
        this.#onCheckpoint(id, container);
      } catch (error) {
        await this.#host.workspaces.emptyImages(workspace, PARENT_DIR);
        throw error;
      }
    });
  }

  #beginLease(id: string): void {
    const { standsBy, leaseMs } = this.#awaitedOf(id, 'prepare');
    this.#leases.begin(id, standsBy ? Deadlines.bringMs : leaseMs);
  }

  #awaitedOf(id: string, call: string): Awaited {
    const awaited = this.#awaited.get(id);
    if (!awaited) throw wrongPhase(id, 'not prepared', call);
    return awaited;
  }

  #limitOf(id: string): number {
    return this.#admitted.get(id)?.limitBytes ?? LIMIT_BASE_BYTES;
  }

  #record(id: string, call: string, phases: readonly Phase[]) {
    return leasedRecord(this.#host, this.#leases, id, { call, phases });
  }
}
