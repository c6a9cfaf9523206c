import { rmSync } from 'node:fs';
import { notUnderstood } from './errors.ts';
import { loosenListed } from './hard-links.ts';
import { leadsDown, parentOf, pathIn, Sight, Thing } from './paths.ts';
import { Kind, type Wire } from './wire.ts';

/** What a pass is about that goes by a list. */
export interface Listing {
  /** What is there, and may have changed. */
  readonly paths: ReadonlySet<string>;
  /** Those of them that are files with holes. */
  readonly sparse: ReadonlySet<string>;
  /** What the destination is to delete first, with all that is below: gone, or not the same directory any more. */
  readonly gone: ReadonlySet<string>;
}

export const NO_LISTING: Listing = { paths: new Set(), sparse: new Set(), gone: new Set() };

const PART_BYTES = 64 * 1024;
/** What the destination keeps of a listing at most. */
const MOST_BYTES = 128 * 1024 * 1024;
const GONE = 'g';
const LISTED = 'l';

/** A list in rsync's own form. `./` keeps a name that begins with `#`, `;` or `-` a name. */
export function filesFrom(paths: Iterable<string>): Buffer {
  let list = '';
  for (const path of paths) list += `./${path}\0`;
  return Buffer.from(list, 'latin1');
}

/** Source: tell the destination what it is to make way for. */
export async function sendListing(wire: Wire, { paths, gone }: Listing): Promise<void> {
  let part = '';
  const flush = async () => {
    if (part !== '') await wire.send(Kind.names, Buffer.from(part, 'latin1'));
    part = '';
  };
  for (const [mark, names] of [
    [GONE, gone],
    [LISTED, paths],
  ] as const) {
    for (const name of names) {
      part += `${mark}${name}\0`;
      if (part.length > PART_BYTES) await flush();
    }
  }
  await flush();
  await wire.send(Kind.listed);
}

/** The destination's side of a listing. */
export class ListingReader {
  readonly #parts: string[] = [];
  #sizeBytes = 0;

  /** @throws HoldfastError `FILES_MISMATCH` */
  add(payload: Buffer): void {
    this.#sizeBytes += payload.length;
    if (this.#sizeBytes > MOST_BYTES) throw notUnderstood('a list without end');
    this.#parts.push(payload.toString('latin1'));
  }

  /**
   * Make way in `dir` for what comes: after this no file that rsync writes to has a name that is not listed. Nothing
   * outside of `dir` is touched, whatever the names are.
   *
   * @throws HoldfastError `FILES_MISMATCH`
   */
  makeWay(dir: string): void {
    const records = this.#parts.splice(0).join('').split('\0');
    this.#sizeBytes = 0;
    records.pop();
    const named = (mark: string) =>
      records.filter((record) => record[0] === mark).map((record) => record.slice(1));
    const listed = named(LISTED).filter((path) => path !== '');
    const gone = named(GONE);
    if (![...listed, ...gone].every(leadsDown)) throw notUnderstood('a path that does not lead down');
    for (const path of gone) {
      // Looked at anew each time: what was there may just have gone.
      if (new Sight(dir).at(parentOf(path))?.thing === Thing.directory) {
        rmSync(pathIn(dir, path), { recursive: true, force: true });
      }
    }
    loosenListed(dir, listed);
  }
}
