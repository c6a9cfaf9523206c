import { closeSync, openSync, readSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { PageFlag, parsePagemap } from '../criu/pagemap.ts';
import { HASH_BYTES } from '../memory/page-hash.ts';
import { hashesFile, PARENT_DIR } from '../memory/parent.ts';
import { damaged } from '../transfer/errors.ts';
import { PAGE_BYTES } from '../transfer/frame.ts';
import { lastFrom, pagemapsIn } from './lazy-memory.ts';

interface StoredRun {
  readonly address: number;
  readonly pages: number;
  /** In the process's pages image, counted in pages. */
  readonly place: number;
}

interface StoredProcess {
  readonly runs: readonly StoredRun[];
  readonly fd: number;
  /** Of its pages, in their places. */
  readonly hashes: Buffer;
}

/**
 * The memory sent ahead: the parent checkpoint beside the images, see `parentPieces`. What it says of a page is a guess,
 * good only once the source has said that it still holds.
 */
export class PageStore {
  readonly #processes = new Map<number, StoredProcess>();

  /** An empty one where nothing was sent ahead. @throws HoldfastError `IMAGES_DAMAGED` */
  static async open(imagesDir: string): Promise<PageStore> {
    const store = new PageStore();
    const dir = path.join(imagesDir, PARENT_DIR);
    if (!(await readdir(imagesDir)).includes(PARENT_DIR)) return store;
    try {
      for (const [pid, file] of await pagemapsIn(dir)) {
        const { pagesId, runs } = parsePagemap(await readFile(file));
        let place = 0;
        const stored = runs
          .filter(({ flags }) => (flags & PageFlag.present) !== 0)
          .map(({ address, pages }) => {
            const run = { address, pages, place };
            place += pages;
            return run;
          });
        const hashes = await readFile(path.join(dir, hashesFile(pagesId)));
        if (hashes.length !== place * HASH_BYTES)
          throw damaged(`${hashes.length} bytes of hashes for ${place} pages`);
        const fd = openSync(path.join(dir, `pages-${pagesId}.img`), 'r');
        store.#processes.set(pid, { runs: stored, fd, hashes });
      }
      return store;
    } catch (error) {
      store.close();
      throw error;
    }
  }

  /** How many pages from this one on are stored side by side; 0 when this one is not. */
  reach(pid: number, address: number): number {
    const run = this.#runOf(pid, address);
    return run === undefined ? 0 : run.pages - (address - run.address) / PAGE_BYTES;
  }

  /** The hashes of a range's pages, zeros for those that are not stored; undefined when none of them is. */
  hashes(pid: number, address: number, pages: number): Buffer | undefined {
    let hashes: Buffer | undefined;
    for (let page = 0; page < pages; ) {
      const at = address + page * PAGE_BYTES;
      const side = Math.min(this.reach(pid, at), pages - page);
      if (side > 0) {
        hashes ??= Buffer.alloc(pages * HASH_BYTES);
        const from = this.#placeOf(pid, at) * HASH_BYTES;
        this.#processes.get(pid)?.hashes.copy(hashes, page * HASH_BYTES, from, from + side * HASH_BYTES);
      }
      page += Math.max(side, 1);
    }
    return hashes;
  }

  /** Pages that are stored side by side. At once: they lie in memory, and a round through the thread pool costs more. */
  read(pid: number, address: number, pages: number): Buffer {
    const process = this.#processes.get(pid);
    if (process === undefined) throw new RangeError(`no page of ${pid}`);
    const bytes = Buffer.allocUnsafeSlow(pages * PAGE_BYTES);
    const position = this.#placeOf(pid, address) * PAGE_BYTES;
    for (let filled = 0; filled < bytes.length; ) {
      const bytesRead = readSync(process.fd, bytes, filled, bytes.length - filled, position + filled);
      if (bytesRead === 0) throw new RangeError(`the pages of ${pid} are cut short`);
      filled += bytesRead;
    }
    return bytes;
  }

  close(): void {
    for (const { fd } of this.#processes.values()) closeSync(fd);
    this.#processes.clear();
  }

  #placeOf(pid: number, address: number): number {
    const run = this.#runOf(pid, address);
    if (run === undefined) throw new RangeError(`no page of ${pid} at ${address}`);
    return run.place + (address - run.address) / PAGE_BYTES;
  }

  #runOf(pid: number, address: number): StoredRun | undefined {
    const runs = this.#processes.get(pid)?.runs ?? [];
    const run = lastFrom(runs, (candidate) => candidate.address <= address);
    return run !== undefined && address < run.address + run.pages * PAGE_BYTES ? run : undefined;
  }
}
