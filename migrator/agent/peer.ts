import { Value } from '@sinclair/typebox/value';
import { type ErrorBody, fromErrorBody, HoldfastError } from '../errors.ts';
import { changedPages } from '../memory/changed-pages.ts';
import { frozenCheckpoint } from '../memory/frozen-checkpoint.ts';
import { PageIndex } from '../memory/page-index.ts';
import type { PageReaders } from '../memory/page-readers.ts';
import type { PageTable } from '../memory/page-table.ts';
import { parentPieces } from '../memory/parent.ts';
import { newPages, type Rounds, type Sources } from '../memory/rounds.ts';
import { SeenAhead } from '../memory/seen-ahead.ts';
import type { TlsMaterial } from '../pki/tls-files.ts';
import type { BufferStore } from '../transfer/buffers.ts';
import { type Codec, codecs } from '../transfer/codec.ts';
import { Patience } from '../transfer/encoding-choice.ts';
import { readImages } from '../transfer/image-reader.ts';
import { Link } from '../transfer/link.ts';
import type { LinkFlow } from '../transfer/link-flow.ts';
import type { Piece } from '../transfer/piece.ts';
import { Traffic } from '../transfer/traffic.ts';
import { upload } from '../transfer/upload.ts';
import { ErrorReply, ImagesOffer, type PreCopyReply, type SendReply, Upload } from './protocol.ts';

/** With nothing acknowledged for this long, the link counts as cut. */
const STALL_MS = 3_000;

export interface Checkpoint {
  readonly dir: string;
  readonly written: Promise<void>;
  readonly left: (() => Promise<readonly number[]>) | undefined;
  /** Of the memory that is left, some may follow when the app runs on. */
  readonly follows: boolean;
}

interface Ahead {
  readonly index: PageIndex;
  readonly tables: ReadonlyMap<number, PageTable>;
  readonly rateBpms: number;
}

/** The destination's agent, as the source's sees it: a link that stands ready before the freeze. */
export class Peer {
  readonly #link: Link;
  /** Whose turns it sends in. */
  readonly flow: LinkFlow;
  readonly #path: string;
  readonly #codec: Codec | undefined;
  readonly #keepBytes: number;
  /** Of the app's memory. */
  readonly readers: PageReaders;
  /** What was sent ahead. */
  #seen: SeenAhead | undefined;
  #ahead: Ahead | undefined;

  private constructor(
    link: Link,
    path: string,
    offer: ImagesOffer,
    { flow, readers }: { flow: LinkFlow; readers: PageReaders },
  ) {
    this.#link = link;
    this.flow = flow;
    this.readers = readers;
    this.#path = path;
    this.#codec = codecs.find(({ encoding }) => offer.encodings.includes(encoding));
    this.#keepBytes = offer.keepBytes;
  }

  /**
   * Connect, and ask whether images of this migration are awaited there.
   *
   * @param options.flow whose turns it sends in, and
   * @param options.readers of the app's memory, are closed with the peer
   * @throws HoldfastError `LINK_BROKEN`, and what the other agent answers
   */
  static async connect(options: {
    url: string;
    migrationId: string;
    tls: TlsMaterial;
    flow: LinkFlow;
    readers: PageReaders;
    signal: AbortSignal;
  }): Promise<Peer> {
    const { signal } = options;
    const link = new Link(options);
    const path = `/v1/migrations/${options.migrationId}`;
    try {
      await link.open(signal);
      const { statusCode, body } = await link.getJson(`${path}/images`, signal);
      if (statusCode >= 400 && Value.Check(ErrorReply, body)) throw fromErrorBody(body as ErrorBody);
      if (statusCode >= 300 || !Value.Check(ImagesOffer, body)) {
        throw new HoldfastError('AGENT_ANSWER_INVALID', `${options.url} answered what was not understood`, {
          mend: 'run the same version of Holdfast everywhere, and check that it is an agent',
        });
      }
      return new Peer(link, path, body, options);
    } catch (error) {
      link.close();
      options.flow.close();
      throw error;
    }
  }

  /**
   * Send ahead what these processes have in memory, while they run.
   *
   * @throws HoldfastError see `upload`
   */
  async preCopy(processes: () => Promise<readonly number[]>, signal: AbortSignal): Promise<PreCopyReply> {
    let index = new PageIndex();
    let rounds: Rounds = { count: 0, newBytes: 0, tables: new Map() };
    this.#ahead = undefined; // What was kept before is forgotten at the other end as well.
    await this.#upload(Upload.pages, signal, (buffers, stop) => {
      // Should this be a second attempt, the other end begins anew too.
      index = new PageIndex();
      rounds = { count: 0, newBytes: 0, tables: new Map() };
      const sources = { processes, readers: this.readers };
      return memoryAhead(sources, index, buffers, { limitBytes: this.#keepBytes, rounds, signal: stop });
    });
    const { tables, rateBpms = 0 } = rounds;
    this.#ahead = { index, tables, rateBpms }; // Now, for the other end has all of it.
    return { rounds: rounds.count, pageBytes: rounds.newBytes, bytesSent: this.#link.bytesSent };
  }

  /** Have everything ready for the freeze: threads take a while to start. */
  makeReady(): void {
    this.readers.start();
  }

  /** What is known of frozen processes whose memory stays here, from `send` on. */
  get seen(): SeenAhead | undefined {
    return this.#seen;
  }

  /** Whether memory was sent ahead. */
  get hasSentAhead(): boolean {
    return this.#ahead !== undefined;
  }

  /**
   * Send a checkpoint as it is written, but for the pages that were sent ahead.
   *
   * @param checkpoint.written settles when all of it is there
   * @param checkpoint.left the frozen processes whose memory is not in the images and is to be put into them, but for
   *   what `follows`
   * @throws HoldfastError see `upload`, `readImages`, `frozenCheckpoint`
   */
  async send(
    checkpoint: Checkpoint,
    signal: AbortSignal,
  ): Promise<Pick<SendReply, 'bytesSent' | 'imageBytes'>> {
    const { dir, written, left, follows } = checkpoint;
    const { index, tables, rateBpms } = this.#ahead ?? {
      index: new PageIndex({ byContent: false }), // A page is taken for another only where that was asked for.
      tables: new Map(),
      rateBpms: 0,
    };
    const aheadPages = index.size;
    const { imageBytes } = await this.#upload(Upload.images, signal, (buffers, stop) => {
      index.forgetFrom(aheadPages); // What a first attempt sent did not arrive.
      const known = { dir, index, buffers };
      if (left) {
        this.#seen = follows ? new SeenAhead(tables) : undefined;
        const following = this.#seen && { rateBpms, seen: this.#seen };
        const sources = { processes: left, readers: this.readers, tables };
        return frozenCheckpoint({ ...known, ...sources, written, following, signal: stop });
      }
      const images = readImages(dir, buffers, { written, signal: stop });
      return this.#ahead ? changedPages(images, { ...known, layouts: tables }) : images;
    });
    return { bytesSent: this.#link.bytesSent, imageBytes };
  }

  #upload(
    what: Upload,
    signal: AbortSignal,
    pieces: (buffers: BufferStore, stop: AbortSignal) => AsyncIterable<Piece>,
  ): Promise<{ imageBytes: number }> {
    const path = `${this.#path}/${what}`;
    const isAhead = what === Upload.pages;
    return upload({
      link: this.#link,
      flow: this.flow,
      traffic: isAhead ? Traffic.memory : Traffic.difference,
      path,
      pieces,
      codec: this.#codec,
      patience: isAhead ? Patience.ahead : Patience.frozen,
      stallMs: STALL_MS,
      signal,
    });
  }

  close(): void {
    this.#link.close();
    this.flow.close();
    void this.readers.close();
  }
}

async function* memoryAhead(
  sources: Sources,
  index: PageIndex,
  buffers: BufferStore,
  options: { limitBytes: number; rounds: Rounds; signal: AbortSignal },
): AsyncGenerator<Piece> {
  yield* newPages(sources, index, buffers, options);
  yield* parentPieces(options.rounds.tables, index);
}
