import { read } from 'node:fs';
import { promisify } from 'node:util';
import { PAGE_BYTES } from '../transfer/frame.ts';
import { ProcessMemory } from './process-memory.ts';

/** Memory as it was at its address when it was read. */
export interface MemoryPiece {
  readonly address: number;
  readonly bytes: Buffer;
}

const readAt = promisify(read);

/**
 * Read of each stretch of `stride` blocks the first, the same ones each time, as far as it is private memory that the
 * process has written to. It runs on meanwhile. A piece is good until the next one is asked for.
 *
 * @yields whole pages; nothing for a process that has ended
 */
export async function* readSample(
  pid: number,
  { blockBytes, stride }: { readonly blockBytes: number; readonly stride: number },
): AsyncGenerator<MemoryPiece> {
  const process = await ProcessMemory.open(pid);
  if (process === undefined) return;
  const buffer = Buffer.allocUnsafe(blockBytes);
  const step = blockBytes * stride;
  try {
    for await (const { start, end } of process.presentRanges()) {
      for (let at = start - (start % step); at < end; at += step) {
        const address = Math.max(at, start);
        const wanted = Math.min(at + blockBytes, end) - address;
        if (wanted <= 0) continue;
        const told = await readAt(process.descriptor, buffer, 0, wanted, address).catch(() => undefined);
        const length = (told?.bytesRead ?? 0) - ((told?.bytesRead ?? 0) % PAGE_BYTES);
        if (length > 0) yield { address, bytes: buffer.subarray(0, length) };
      }
    }
  } finally {
    await process.close();
  }
}
