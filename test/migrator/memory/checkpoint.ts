import { createHash } from 'node:crypto';
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { PageFlag, type PageRun, parsePagemap, writePagemap } from '../../../migrator/criu/pagemap.ts';
import { changedPages } from '../../../migrator/memory/changed-pages.ts';
import type { Layouts } from '../../../migrator/memory/layout.ts';
import { hashOf } from '../../../migrator/memory/page-hash.ts';
import { PageIndex } from '../../../migrator/memory/page-index.ts';
import { PARENT_DIR, parentPieces } from '../../../migrator/memory/parent.ts';
import { codecs } from '../../../migrator/transfer/codec.ts';
import { CHUNK_BYTES, PAGE_BYTES } from '../../../migrator/transfer/frame.ts';
import { readImages } from '../../../migrator/transfer/image-reader.ts';
import type { Piece } from '../../../migrator/transfer/piece.ts';
import { Traffic } from '../../../migrator/transfer/traffic.ts';
import { type UploadOptions, upload } from '../../../migrator/transfer/upload.ts';
import { alone } from '../transfer/alone.ts';
import type { Loopback } from '../transfer/loopback.ts';

/** The memory of a process, or of a shared area: which page (see `page`) stands at which address. */
export type Memory = ReadonlyMap<number, number>;

/** Memories by what their pagemap image is called after: a pid, or `shmem-ID`. */
export type Memories = ReadonlyMap<string, Memory>;

/** Page 0 is zeros; any other has bytes of its own. */
export function page(number: number): Buffer {
  if (number === 0) return Buffer.alloc(PAGE_BYTES);
  return Buffer.alloc(PAGE_BYTES, createHash('sha512').update(`page ${number}`).digest());
}

export const pagesOf = (numbers: Iterable<number>) => Buffer.concat([...numbers].map(page));

/** Write what CRIU would. @param lengthOf how many pages a run has at most */
export async function writeCheckpoint(
  dir: string,
  memories: Memories,
  lengthOf = () => Number.POSITIVE_INFINITY,
): Promise<void> {
  let pagesId = 1;
  for (const [name, memory] of memories) {
    const runs: { address: number; pages: number; flags: number }[] = [];
    let most = 0;
    for (const address of memory.keys()) {
      const last = runs.at(-1);
      if (last && last.pages < most && last.address + last.pages * PAGE_BYTES === address) last.pages++;
      else {
        runs.push({ address, pages: 1, flags: PageFlag.present | PageFlag.lazy });
        most = lengthOf();
      }
    }
    await writeFile(path.join(dir, `pagemap-${name}.img`), writePagemap({ pagesId, runs }));
    await writeFile(path.join(dir, `pages-${pagesId++}.img`), pagesOf(memory.values()));
  }
  await writeFile(path.join(dir, 'inventory.img'), 'not of pages');
}

/** Send pages to be kept, and the parent made of them. */
export async function sendAhead(ends: Loopback, memories: Memories): Promise<Ahead> {
  const index = new PageIndex();
  const layouts = new Map<number, Map<number, number>>();
  const fresh: number[] = [];
  for (const [name, memory] of memories) {
    const layout = new Map<number, number>();
    for (const [address, number] of memory) {
      const before = index.size;
      layout.set(address, index.place(hashOf(page(number))));
      if (index.size > before) fresh.push(number);
    }
    layouts.set(Number(name), layout);
  }
  await put(ends, async function* () {
    const raw = pagesOf(fresh);
    for (let at = 0; at < raw.length; at += CHUNK_BYTES) {
      const buffer = raw.subarray(at, at + CHUNK_BYTES);
      yield { type: 'keep', raw: buffer, buffer: Buffer.alloc(CHUNK_BYTES) } satisfies Piece;
    }
    yield* parentPieces(layouts, index);
  });
  return { index, layouts };
}

export interface Ahead {
  readonly index: PageIndex;
  readonly layouts: Layouts;
}

/** Send the checkpoint in `inDir` as what differs from what went ahead. @returns bytes on the wire */
export function sendChanged(ends: Loopback, ahead: Ahead): Promise<number> {
  return put(ends, (buffers, signal) =>
    changedPages(readImages(ends.inDir, buffers, { signal }), { ...ahead, dir: ends.inDir, buffers }),
  );
}

export async function put(ends: Loopback, pieces: UploadOptions['pieces']): Promise<number> {
  const link = ends.link();
  const signal = AbortSignal.timeout(30_000);
  const sent = { flow: alone(), traffic: Traffic.difference };
  await upload({ link, ...sent, path: '/images', pieces, codec: codecs[0], stallMs: 10_000, signal });
  return link.bytesSent;
}

interface Image {
  readonly runs: readonly PageRun[];
  readonly pages: Buffer;
  readonly parent: Image | undefined;
}

/** The content of each page of a checkpoint, by address, read in the way CRIU's restore does (criu/pagemap.c). */
export async function readCheckpoint(dir: string, name: string): Promise<Map<number, Buffer>> {
  const image = await openImage(dir, name);
  const memory = new Map<number, Buffer>();
  for (const { address, pages } of image?.runs ?? []) {
    for (let number = 0; number < pages; number++) {
      const at = address + number * PAGE_BYTES;
      memory.set(at, pageAt(image, at));
    }
  }
  return memory;
}

async function openImage(dir: string, name: string): Promise<Image | undefined> {
  const bytes = await readFile(path.join(dir, `pagemap-${name}.img`)).catch(() => undefined);
  if (bytes === undefined) return undefined;
  const { pagesId, runs } = parsePagemap(bytes);
  runs.reduce((end, { address, pages }) => {
    if (address < end || pages === 0) throw new Error(`runs of ${name} are out of order`);
    return address + pages * PAGE_BYTES;
  }, 0);
  const pages = await readFile(path.join(dir, `pages-${pagesId}.img`));
  const ofRuns = runs.reduce((sum, run) => sum + (run.flags & PageFlag.present ? run.pages : 0), 0);
  if (pages.length !== ofRuns * PAGE_BYTES) throw new Error(`pages of ${name} do not match its runs`);
  return { runs, pages, parent: await openImage(path.join(dir, PARENT_DIR), name) };
}

function pageAt(image: Image | undefined, address: number): Buffer {
  let before = 0;
  for (const run of image?.runs ?? []) {
    const number = (address - run.address) / PAGE_BYTES;
    const here = number >= 0 && number < run.pages;
    if (here && run.flags & PageFlag.parent) return pageAt(image?.parent, address);
    if (here && image) return image.pages.subarray((before + number) * PAGE_BYTES).subarray(0, PAGE_BYTES);
    if (run.flags & PageFlag.present) before += run.pages;
  }
  throw new Error(`no page at ${address}`);
}

/** What the agent does before a checkpoint comes again: all but the parent is thrown away. */
export async function keepParentOnly({ outDir }: Loopback): Promise<void> {
  const aside = `${outDir}-before`;
  await rename(outDir, aside);
  await mkdir(outDir);
  await rename(path.join(aside, PARENT_DIR), path.join(outDir, PARENT_DIR));
}
