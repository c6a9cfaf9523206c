import type { IncomingMessage, ServerResponse } from 'node:http';
import { DumpMemory } from '../engine/engine.ts';
import { HoldfastError } from '../errors.ts';
import { hastily, prepareHaste } from '../haste.ts';
import { instanceLost, isInstanceLost } from '../loss.ts';
import { threadsFor } from '../memory/pace.ts';
import { PageReaders } from '../memory/page-readers.ts';
import { whyNotRead } from '../memory/system-page.ts';
import type { Traffic } from '../transfer/traffic.ts';
import { Bringing } from './bringing.ts';
import { Deadlines } from './deadlines.ts';
import { FrozenReadings } from './frozen-readings.ts';
import {
  engineOf,
  type HostContext,
  migrationOver,
  recordUnderWay,
  refuseIfBusy,
  unknownMigration,
  wrongPhase,
} from './host.ts';
import { Peer } from './peer.ts';
import {
  type BringReply,
  type ExamineReply,
  type FreezeReply,
  MigrationRole,
  type PreCopyReply,
  type SendReply,
} from './protocol.ts';
import { isOver, type MigrationRecord, Phase } from './records.ts';
import { Sendings } from './sendings.ts';

type SourceEnd = typeof Phase.thawed | typeof Phase.finished | typeof Phase.lost;

/** The side that gives a container away. It stays frozen until the gateway says `thaw` or `finish`. */
export class SourceSide {
  readonly #host: HostContext;
  /** Links that stand ready. They do not outlive this process; a migration without one can only go back. */
  readonly #peers = new Map<string, Peer>();
  readonly #bringing: Bringing;
  readonly #sendings: Sendings;
  readonly #readings: FrozenReadings;

  constructor(host: HostContext) {
    this.#host = host;
    this.#bringing = new Bringing(host);
    this.#sendings = new Sendings(this.#bringing);
    this.#readings = new FrozenReadings(host);
  }

  async examine(id: string, container: string): Promise<ExamineReply> {
    refuseIfBusy(this.#host, container, id);
    const engine = engineOf(this.#host, container);
    return this.#host.turns.take(id, container, Deadlines.examineMs, async (signal) => ({
      ...(await engine.examine(container, signal)),
      brings: engine.belongings !== undefined,
    }));
  }

  /** @param to.limitRateBps no more is sent there for this migration, in bits a second */
  async connect(
    id: string,
    container: string,
    { url, limitRateBps }: { url: string; limitRateBps?: number | undefined },
  ): Promise<void> {
    engineOf(this.#host, container);
    await this.#host.turns.take(id, container, Deadlines.connectMs, async (signal) => {
      refuseIfBusy(this.#host, container, id);
      const known = this.#host.records.get(id);
      if (known && known.phase !== Phase.connected) throw migrationOver(id, known.phase);
      await this.#dropConnected(container);
      const readers = new PageReaders({ most: threadsFor(this.#host.memory?.workers) });
      const flow = this.#host.link.flow(url, limitRateBps);
      const { tls } = this.#host;
      const peer = await Peer.connect({ url, migrationId: id, tls, flow, readers, signal });
      peer.makeReady();
      this.#peers.set(id, peer);
      this.#bringing.connect(id, container, url, flow);
      await this.#host.workspaces.make(id);
      const limit = limitRateBps === undefined ? {} : { limitRateBps };
      const role = MigrationRole.source;
      await this.#host.records.save({ id, container, role, phase: Phase.connected, ...limit });
    });
  }

  /** Send ahead what the container owns besides its memory, while it runs. */
  async bring(id: string): Promise<BringReply> {
    const { container } = this.#record(id, 'bring', Phase.connected);
    return this.#bringing.ahead(id, container);
  }

  /** Shortly before the freeze, beside nothing else: what is left of what is brought is sent, or stands ready. */
  async getReady(id: string): Promise<BringReply> {
    const { container } = this.#record(id, 'get-ready', Phase.connected);
    return this.#bringing.getReady(id, container);
  }

  /** Send ahead what the container has in memory, while it runs. */
  async preCopy(id: string): Promise<PreCopyReply> {
    const { container } = this.#record(id, 'pre-copy', Phase.connected);
    return this.#host.turns.take(id, container, Deadlines.preCopyMs, async (signal) => {
      const { phase } = this.#record(id, 'pre-copy', Phase.connected);
      const peer = this.#peers.get(id);
      if (!peer) throw wrongPhase(id, `${phase} and not connected`, 'pre-copy');
      const whyNot = whyNotRead();
      if (whyNot !== undefined) {
        this.#host.log.warn({ migrationId: id, container }, whyNot);
        return { rounds: 0, pageBytes: 0, bytesSent: 0 };
      }
      const sent = await peer.preCopy(() => engineOf(this.#host, container).processes(container), signal);
      prepareHaste();
      return sent;
    });
  }

  async freeze(id: string, receivedAt: number): Promise<FreezeReply> {
    const { container } = this.#record(id, 'freeze');
    const freeze = async (signal: AbortSignal) => {
      const record = this.#record(id, 'freeze');
      // Written first: an agent that dies in the middle must know that the container may be frozen.
      await this.#host.records.save({ ...record, phase: Phase.frozen });
      const frozenAtMs = performance.now() - receivedAt;
      await engineOf(this.#host, container).freeze(container, signal);
      return { frozenAtMs };
    };
    return hastily(() => this.#host.turns.take(id, container, Deadlines.freezeMs, freeze));
  }

  /** Settles when the checkpoint is written; it is being sent by then, and `send` awaits the rest. */
  async dump(id: string, memory: DumpMemory): Promise<void> {
    const { container } = this.#record(id, 'dump', Phase.frozen);
    const dump = async (signal: AbortSignal) => {
      const record = this.#record(id, 'dump', Phase.frozen);
      const peer = this.#peers.get(id);
      if (!peer) throw wrongPhase(id, `${record.phase} and not connected`, 'dump');
      await this.#sendings.stop(id); // Of a dump before this one: its files are about to be written anew.
      const workspace = this.#host.workspaces.of(id);
      const engine = engineOf(this.#host, container);
      // What belongs into the images is read here, in parallel; CRIU itself would do it page by page.
      const follows = memory === DumpMemory.leftInPlace;
      const readHere = follows ? peer.hasSentAhead : whyNotRead() === undefined;
      const left = readHere ? () => engine.processes(container) : undefined;
      const dumped = engine.dump(container, workspace, left ? DumpMemory.leftInPlace : memory, signal);
      this.#sendings.begin(record, peer, { dir: workspace.imagesDir, written: dumped, left, follows });
      await dumped;
    };
    await hastily(() => this.#host.turns.take(id, container, Deadlines.dumpMs, dump));
  }

  async send(id: string): Promise<SendReply> {
    const { container } = this.#record(id, 'send', Phase.frozen);
    return this.#host.turns.take(id, container, Deadlines.sendMs, async (signal) => {
      const { phase } = this.#record(id, 'send', Phase.frozen);
      const sent = await this.#sendings.sent(id, signal);
      if (!sent) throw wrongPhase(id, `${phase} and not dumped`, 'send');
      return sent;
    });
  }

  /** @throws HoldfastError when what is frozen here is not, or no more, this migration's */
  refuseUnlessFrozen(id: string): void {
    this.#record(id, 'memory', Phase.frozen);
  }

  /**
   * Answer for the memory of what is frozen, for as long as it is asked for. The response is this method's.
   *
   * @param traffic what the answers are
   */
  async memory(
    id: string,
    traffic: Traffic,
    request: IncomingMessage,
    response: ServerResponse,
  ): Promise<void> {
    const record = this.#record(id, 'memory', Phase.frozen);
    await this.#readings.answer(record, { peer: this.#peers.get(id), traffic }, request, response);
  }

  /**
   * Undo everything of this migration here. Settles at once where there is nothing to undo.
   *
   * @throws HoldfastError `INSTANCE_LOST` when what was frozen is gone, `MIGRATION_OVER` after `finish`
   */
  async thaw(id: string): Promise<void> {
    const known = this.#host.records.get(id);
    if (!known) return;
    if (known.role !== MigrationRole.source) throw unknownMigration(id);
    if (known.phase !== Phase.finishing) this.#host.turns.interrupt(known.container, id);
    await this.#bringing.stop(id);
    await this.#sendings.stop(id);
    await this.#host.turns.take(id, known.container, Deadlines.undoMs, async (signal) => {
      const record = this.#host.records.get(id) ?? known;
      if (record.phase === Phase.thawed) return;
      if (record.phase === Phase.lost) throw lost(record);
      if (isOver(record) || record.phase === Phase.finishing) throw migrationOver(id, record.phase);
      if (record.phase !== Phase.connected) {
        await this.#host.records.note({ ...record, phase: Phase.thawing });
        this.#readings.stop(id);
        await this.#wake(record, signal);
      }
      await this.#end(record, Phase.thawed);
    });
  }

  /** The destination is for good: remove the frozen container here. */
  async finish(id: string): Promise<void> {
    const known = this.#host.records.get(id);
    if (known?.role !== MigrationRole.source) throw unknownMigration(id);
    await this.#host.turns.take(id, known.container, Deadlines.undoMs, async (signal) => {
      const record = this.#host.records.get(id) ?? known;
      if (record.phase === Phase.finished) return;
      if (record.phase !== Phase.frozen && record.phase !== Phase.finishing) {
        throw migrationOver(id, record.phase);
      }
      await this.#host.records.note({ ...record, phase: Phase.finishing });
      this.#readings.stop(id);
      await engineOf(this.#host, record.container).remove(record.container, signal);
      await this.#end(record, Phase.finished);
    });
  }

  /**
   * Take up what an earlier process of this agent left. What is frozen stays so until the gateway decides; what was
   * decided is carried out.
   */
  async recover(record: MigrationRecord): Promise<void> {
    if (record.phase === Phase.connected) await this.#end(record, Phase.thawed);
    if (record.phase === Phase.thawing)
      await this.thaw(record.id).catch((error) => this.#onlyIfLost(record, error));
    if (record.phase === Phase.finishing) await this.finish(record.id);
  }

  close(): void {
    this.#bringing.close();
    for (const peer of this.#peers.values()) peer.close();
    this.#peers.clear();
    this.#readings.close();
  }

  /** What was frozen and has been killed by somebody else is this migration's no more: the container may be started anew. */
  async #wake(record: MigrationRecord, signal: AbortSignal): Promise<void> {
    try {
      await engineOf(this.#host, record.container).thaw(record.container, signal);
    } catch (error) {
      if (!(error instanceof HoldfastError && error.code === 'CONTAINER_NOT_RUNNING')) throw error;
      await this.#end(record, Phase.lost);
      throw lost(record);
    }
  }

  #onlyIfLost({ id, container }: MigrationRecord, error: unknown): void {
    if (!isInstanceLost(error)) throw error;
    this.#host.log.error({ migrationId: id, container, err: error }, 'what was frozen here is gone');
  }

  /** A migration that never came to its freeze gives way to the next one. */
  async #dropConnected(container: string): Promise<void> {
    const record = this.#host.records.of(container);
    if (record?.phase === Phase.connected) await this.#end(record, Phase.thawed);
  }

  async #end(record: MigrationRecord, phase: SourceEnd): Promise<void> {
    await this.#sendings.stop(record.id);
    await this.#bringing.end(record.id, record.container);
    this.#peers.get(record.id)?.close();
    this.#peers.delete(record.id);
    await this.#host.records.save({ ...record, phase });
    await this.#host.workspaces.remove(record.id);
  }

  #record(id: string, call: string, phase?: Phase): MigrationRecord {
    const phases = phase === undefined ? [Phase.connected, Phase.frozen] : [phase];
    return recordUnderWay(this.#host, id, { role: MigrationRole.source, phases, call });
  }
}

function lost({ container }: MigrationRecord): HoldfastError {
  return instanceLost(container, 'it was killed while it was frozen, or its host was started anew');
}
