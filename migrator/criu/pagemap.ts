import { HoldfastError } from '../errors.ts';

/** The two numbers a pagemap image begins with (`IMG_COMMON_MAGIC` and `PAGEMAP_MAGIC` in criu/include/magic.h). */
const MAGIC = [0x54564319, 0x56084025] as const;

/** What is said of a run of pages (`PE_*` in criu/include/pagemap.h). */
export const PageFlag = {
  /** The page is the parent checkpoint's. */
  parent: 1,
  lazy: 2,
  /** The page is in this checkpoint's pages image, after those of the runs before. */
  present: 4,
} as const;

/** Pages that follow one another in memory. */
export interface PageRun {
  readonly address: number;
  readonly pages: number;
  readonly flags: number;
}

export interface Pagemap {
  /** `pages-ID.img` has the pages. */
  readonly pagesId: number;
  /** In the order of their addresses. */
  readonly runs: readonly PageRun[];
}

/** The numbers of the fields in images/pagemap.proto. */
const HeadField = { pagesId: 1 } as const;
const RunField = { address: 1, pages32: 2, inParent: 3, flags: 4, pages: 5 } as const;
/** Its length, and four fields of one byte and eight at most each: numbers of 53 bits. */
const MOST_MESSAGE_BYTES = 4 + 4 * (1 + 8);

/**
 * Read while an app stands still, tens of thousands of runs: nothing is made for each but the run.
 *
 * @throws HoldfastError `IMAGES_DAMAGED` for what is not a pagemap image
 */
export function parsePagemap(image: Buffer): Pagemap {
  if (image.length < 8 || image.readUInt32LE(0) !== MAGIC[0] || image.readUInt32LE(4) !== MAGIC[1])
    throw damaged();
  const varints = new VarintReader(image);
  let pagesId: number | undefined;
  const runs: PageRun[] = [];
  for (let at = 8; at < image.length; ) {
    if (at + 4 > image.length) throw damaged();
    const start = at + 4;
    at = start + image.readUInt32LE(at);
    if (at > image.length) throw damaged();
    if (pagesId === undefined) pagesId = parseHead(varints.enter(start, at));
    else runs.push(parseRun(varints.enter(start, at)));
  }
  if (pagesId === undefined) throw damaged();
  return { pagesId, runs };
}

export function writePagemap({ pagesId, runs }: Pagemap): Buffer {
  const bytes = Buffer.allocUnsafe(8 + (runs.length + 1) * MOST_MESSAGE_BYTES);
  bytes.writeUInt32LE(MAGIC[0], 0);
  bytes.writeUInt32LE(MAGIC[1], 4);
  let at = writeVarint(bytes, writeVarint(bytes, 12, HeadField.pagesId * 8), pagesId);
  bytes.writeUInt32LE(at - 12, 8);
  for (const { address, pages, flags } of runs) {
    const start = at + 4;
    let end = writeVarint(bytes, writeVarint(bytes, start, RunField.address * 8), address);
    end = writeVarint(bytes, writeVarint(bytes, end, RunField.pages32 * 8), pages);
    end = writeVarint(bytes, writeVarint(bytes, end, RunField.flags * 8), flags);
    end = writeVarint(bytes, writeVarint(bytes, end, RunField.pages * 8), pages);
    bytes.writeUInt32LE(end - start, at);
    at = end;
  }
  return bytes.subarray(0, at);
}

function parseHead(fields: VarintReader): number {
  let pagesId: number | undefined;
  while (fields.more) {
    const field = fields.field();
    const value = fields.varint();
    if (field === HeadField.pagesId) pagesId = value;
  }
  if (pagesId === undefined) throw damaged();
  return pagesId;
}

function parseRun(fields: VarintReader): PageRun {
  let address = 0;
  let pages32 = 0;
  let pages: number | undefined;
  let inParent = false;
  let flags: number = PageFlag.present;
  while (fields.more) {
    const field = fields.field();
    const value = fields.varint();
    if (field === RunField.address) address = value;
    else if (field === RunField.pages32) pages32 = value;
    else if (field === RunField.pages) pages = value;
    else if (field === RunField.flags) flags = value;
    else if (field === RunField.inParent) inParent = value !== 0;
  }
  return { address, pages: pages ?? pages32, flags: inParent ? PageFlag.parent : flags };
}

/** Messages of protobuf whose fields are all varints, as those of a pagemap are. */
class VarintReader {
  readonly #bytes: Buffer;
  #at = 0;
  #end = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  /** The message in this part of the bytes. */
  enter(start: number, end: number): this {
    this.#at = start;
    this.#end = end;
    return this;
  }

  get more(): boolean {
    return this.#at < this.#end;
  }

  field(): number {
    const tag = this.varint();
    if (tag % 8 !== 0) throw damaged();
    return tag / 8;
  }

  varint(): number {
    let value = 0;
    for (let factor = 1; ; factor *= 128) {
      if (this.#at >= this.#end) throw damaged();
      const byte = this.#bytes[this.#at++] ?? 0;
      value += (byte & 127) * factor;
      if (value > Number.MAX_SAFE_INTEGER) throw damaged();
      if (byte < 128) return value;
    }
  }
}

/** @returns where the next one goes */
function writeVarint(bytes: Buffer, offset: number, value: number): number {
  let at = offset;
  let rest = value;
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes[at++] = (rest % 128) + 128;
  bytes[at++] = rest;
  return at;
}

function damaged(): HoldfastError {
  return new HoldfastError('IMAGES_DAMAGED', 'a pagemap image of CRIU that is not understood', {
    mend: 'run a version of CRIU that this release was tested with',
  });
}
