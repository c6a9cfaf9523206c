import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { HoldfastError } from '../errors.ts';
import { bytesOf, type Fields, fieldsOf, numberOf } from './protobuf.ts';

/** The two numbers a core image begins with (`IMG_COMMON_MAGIC` and `CORE_MAGIC` in criu/include/magic.h). */
const MAGIC = [0x54564319, 0x55053847] as const;

/** The numbers of the fields in images/core.proto and images/rseq.proto. */
const CoreField = { thread: 5 } as const;
const ThreadField = { rseq: 15 } as const;
const RseqField = { address: 1, sizeBytes: 2 } as const;

/** Where the kernel writes on which CPU a thread runs; see rseq(2). */
export interface Rseq {
  readonly address: number;
  readonly sizeBytes: number;
}

/**
 * Of a thread, by the id it has inside the container; undefined when it has none.
 *
 * @throws HoldfastError `IMAGES_DAMAGED`
 */
export async function readRseq(imagesDir: string, tid: number): Promise<Rseq | undefined> {
  const name = `core-${tid}.img`;
  try {
    return parseRseq(await readFile(join(imagesDir, name)));
  } catch (cause) {
    throw new HoldfastError('IMAGES_DAMAGED', `${name} of the checkpoint is missing or not understood`, {
      mend: 'run a version of CRIU that this release was tested with',
      cause,
    });
  }
}

/** @throws RangeError for what is not a core image */
function parseRseq(image: Buffer): Rseq | undefined {
  if (image.length < 12 || image.readUInt32LE(0) !== MAGIC[0] || image.readUInt32LE(4) !== MAGIC[1]) {
    throw new RangeError('not a core image');
  }
  const core = fieldsOf(image.subarray(12, 12 + image.readUInt32LE(8)));
  const rseq = within(within(core, CoreField.thread), ThreadField.rseq);
  const address = numberOf(rseq, RseqField.address);
  const sizeBytes = numberOf(rseq, RseqField.sizeBytes);
  return address === 0 || sizeBytes === 0 ? undefined : { address, sizeBytes };
}

function within(fields: Fields, field: number): Fields {
  return fieldsOf(bytesOf(fields, field));
}
