import {
  BLOCK_BYTES,
  decodePax,
  decodeTarHeader,
  encodeTarHeader,
  FileType,
  paddingOf,
} from './tar-header.ts';

/** More than names and sizes can need; what an archive says must not decide how much memory is taken. */
const MOST_PAX_BYTES = 1024 * 1024;

export interface TarFile {
  readonly name: string;
  readonly sizeBytes: number;
  /** To be read before the next file is asked for; what is left of it then is skipped. */
  readonly content: AsyncIterable<Buffer>;
}

/** The plain files of an archive, as they come. The archive is closed when no more of them are asked for. */
export async function* filesOf(archive: AsyncIterable<Buffer>): AsyncGenerator<TarFile> {
  const pieces = archive[Symbol.asyncIterator]();
  const bytes = new Bytes(pieces);
  let pax: ReturnType<typeof decodePax> = {};
  try {
    for (;;) {
      const block = await bytes.take(BLOCK_BYTES);
      if (block.every((byte) => byte === 0)) return;
      const header = decodeTarHeader(block);
      const { name, sizeBytes } = { ...header, ...pax };
      pax = {};
      if (!Number.isSafeInteger(sizeBytes) || sizeBytes < 0) throw new Error('a file of no size');
      bytes.begin(sizeBytes);
      if (header.type === FileType.paxRecords) {
        if (sizeBytes > MOST_PAX_BYTES) throw new Error('pax records without end');
        pax = decodePax(await bytes.take(sizeBytes));
      } else if (header.type === FileType.file) {
        yield { name, sizeBytes, content: bytes.rest() };
      }
      for await (const _ of bytes.rest());
      await bytes.take(paddingOf(sizeBytes));
    }
  } finally {
    await pieces.return?.();
  }
}

/** An archive of plain files. `name` is at most 100 bytes of ASCII. */
export async function* archiveOf(
  files: Iterable<Omit<TarFile, 'content'> & { content: AsyncIterable<Uint8Array> | Iterable<Uint8Array> }>,
): AsyncGenerator<Uint8Array> {
  for (const { name, sizeBytes, content } of files) {
    yield encodeTarHeader(name, sizeBytes);
    yield* content;
    yield Buffer.alloc(paddingOf(sizeBytes));
  }
  yield Buffer.alloc(2 * BLOCK_BYTES);
}

/** Bytes of an archive, and how many are left of the file that is being read. */
class Bytes {
  readonly #pieces: AsyncIterator<Buffer>;
  #rest: Buffer = Buffer.alloc(0);
  #left = 0;

  constructor(pieces: AsyncIterator<Buffer>) {
    this.#pieces = pieces;
  }

  begin(sizeBytes: number): void {
    this.#left = sizeBytes;
  }

  /** What is left of the file. */
  async *rest(): AsyncGenerator<Buffer> {
    while (this.#left > 0) yield await this.#piece(this.#left);
  }

  async take(sizeBytes: number): Promise<Buffer> {
    const taken: Buffer[] = [];
    for (let left = sizeBytes; left > 0; ) {
      const piece = await this.#piece(left);
      left -= piece.length;
      taken.push(piece);
    }
    return Buffer.concat(taken);
  }

  /** One byte at least, and at most this many. */
  async #piece(atMost: number): Promise<Buffer> {
    while (this.#rest.length === 0) {
      const next = await this.#pieces.next();
      if (next.done) throw new Error('the archive was cut');
      this.#rest = next.value;
    }
    const piece = this.#rest.subarray(0, atMost);
    this.#rest = this.#rest.subarray(piece.length);
    this.#left -= Math.min(this.#left, piece.length);
    return piece;
  }
}
