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

/** @throws HoldfastError `IMAGES_DAMAGED` for what is not a pagemap image */
export function parsePagemap(image: Buffer): Pagemap {
  if (image.length < 8 || image.readUInt32LE(0) !== MAGIC[0] || image.readUInt32LE(4) !== MAGIC[1])
    throw damaged();
  let head: Map<number, number> | undefined;
  const runs: PageRun[] = [];
  for (let at = 8; at < image.length; ) {
    if (at + 4 > image.length) throw damaged();
    const sizeBytes = image.readUInt32LE(at);
    const fields = parseMessage(image.subarray(at + 4, at + 4 + sizeBytes));
    at += 4 + sizeBytes;
    if (at > image.length) throw damaged();
    if (head === undefined) {
      head = fields;
      continue;
    }
    const inParent = (fields.get(RunField.inParent) ?? 0) !== 0;
    runs.push({
      address: fields.get(RunField.address) ?? 0,
      pages: fields.get(RunField.pages) ?? fields.get(RunField.pages32) ?? 0,
      flags: inParent ? PageFlag.parent : (fields.get(RunField.flags) ?? PageFlag.present),
    });
  }
  const pagesId = head?.get(HeadField.pagesId);
  if (pagesId === undefined) throw damaged();
  return { pagesId, runs };
}

export function writePagemap({ pagesId, runs }: Pagemap): Buffer {
  const magic = Buffer.alloc(8);
  magic.writeUInt32LE(MAGIC[0], 0);
  magic.writeUInt32LE(MAGIC[1], 4);
  const messages = [
    message([[HeadField.pagesId, pagesId]]),
    ...runs.map(({ address, pages, flags }) =>
      message([
        [RunField.address, address],
        [RunField.pages32, pages],
        [RunField.flags, flags],
        [RunField.pages, pages],
      ]),
    ),
  ];
  return Buffer.concat([magic, ...messages]);
}

/** A message of protobuf whose fields are all varints, as those of a pagemap are. */
function parseMessage(bytes: Buffer): Map<number, number> {
  const fields = new Map<number, number>();
  let at = 0;
  const varint = () => {
    let value = 0;
    for (let factor = 1; ; factor *= 128) {
      const byte = bytes[at++];
      if (byte === undefined) throw damaged();
      value += (byte & 127) * factor;
      if (value > Number.MAX_SAFE_INTEGER) throw damaged();
      if (byte < 128) return value;
    }
  };
  while (at < bytes.length) {
    const tag = varint();
    if (tag % 8 !== 0) throw damaged();
    fields.set(Math.floor(tag / 8), varint());
  }
  return fields;
}

function message(fields: readonly (readonly [field: number, value: number])[]): Buffer {
  const bytes: number[] = [];
  const varint = (value: number) => {
    let rest = value;
    for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest % 128) + 128);
    bytes.push(rest);
  };
  for (const [field, value] of fields) {
    varint(field * 8);
    varint(value);
  }
  const sized = Buffer.alloc(4 + bytes.length);
  sized.writeUInt32LE(bytes.length, 0);
  sized.set(bytes, 4);
  return sized;
}

function damaged(): HoldfastError {
  return new HoldfastError('IMAGES_DAMAGED', 'a pagemap image of CRIU that is not understood', {
    mend: 'run a version of CRIU that this release was tested with',
  });
}
