import { execFileSync } from 'node:child_process';
import {
  appendFileSync,
  chmodSync,
  closeSync,
  ftruncateSync,
  lchownSync,
  linkSync,
  lstatSync,
  lutimesSync,
  mkdirSync,
  openSync,
  readdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { bytes } from './listing.ts';

/** A generator of numbers that can be had again: mulberry32. */
export function seeded(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}

const ODD_NAMES = [
  'line\nend',
  ' blank ',
  '#hash',
  ';semi',
  '-dash',
  'q"\'`$',
  '\xff\xfe',
  'b\\101',
  'star*?',
  'é',
];
/** CAP_NET_BIND_SERVICE, permitted and effective, version 2. */
const CAPABILITY = '0x0100000200040000000000000000000000000000';

/** Changes of every kind to the tree below `dir`, at random; `outsideDir` is where directories are moved to and from. */
export class RandomChanges {
  readonly #dir: string;
  readonly #outsideDir: string;
  readonly #random: (below: number) => number;
  readonly #freshlyLinked = new Set<number>();
  #names = 0;

  constructor(dir: string, outsideDir: string, random: (below: number) => number) {
    this.#dir = dir;
    this.#outsideDir = outsideDir;
    this.#random = random;
  }

  /** Make one change. @returns what it was, for a failing test's message */
  change(): string {
    const kinds = Object.keys(this.#kinds);
    const kind = kinds[this.#random(kinds.length)] ?? 'create';
    try {
      return `${kind} ${JSON.stringify(this.#kinds[kind]?.())}`;
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      // Chosen at random, some cannot be: a directory into itself, a link too many.
      if (
        code === undefined ||
        !['EEXIST', 'ENOTEMPTY', 'EINVAL', 'EISDIR', 'ENOTDIR', 'ENOENT'].includes(code)
      )
        throw error;
      return `${kind} ${code}`;
    }
  }

  readonly #kinds: Readonly<Record<string, () => unknown>> = {
    create: () => this.#made((at) => writeFileSync(at, this.#content())),
    createMore: () => this.#made((at) => writeFileSync(at, this.#content())),
    overwrite: () => this.#onFile((at) => writeFileSync(at, this.#content())),
    writeWithin: () =>
      this.#onFile((at) => {
        const fd = openSync(at, 'r+');
        writeSync(fd, this.#content(200), 0, null, this.#random(Number(lstatSync(at).size) + 1));
        closeSync(fd);
      }),
    // What only a look at the content can tell: the same size, the same time.
    writeUnnoticed: () =>
      this.#onFile((at) => {
        const { size, atime, mtime } = lstatSync(at);
        if (size === 0) return;
        const fd = openSync(at, 'r+');
        writeSync(fd, bytes(String.fromCharCode(this.#random(256))), 0, 1, this.#random(size));
        closeSync(fd);
        lutimesSync(at, atime, mtime);
      }),
    append: () => this.#onFile((at) => appendFileSync(at, this.#content(500))),
    truncate: () =>
      this.#onFile((at) => {
        const fd = openSync(at, 'r+');
        ftruncateSync(fd, this.#random(Number(lstatSync(at).size) * 2 + 2));
        closeSync(fd);
      }),
    sparse: () =>
      this.#made((at) => {
        const fd = openSync(at, 'w');
        writeSync(fd, this.#content(5_000), 0, null, 100_000 + this.#random(3_000_000));
        closeSync(fd);
      }),
    large: () => this.#made((at) => writeFileSync(at, this.#content(1_500_000))),
    // Never setuid together with an ACL: where it goes off rsync takes the group's rights in the ACL with it.
    mode: () =>
      this.#onAny((at) => {
        const { mode } = lstatSync(at);
        if ((mode & 0o170000) !== 0o120000) chmodSync(at, 0o400 + this.#random(0o400) + (mode & 0o4000));
      }),
    setuid: () => {
      const at = this.#at(`setuid${this.#names++}`);
      writeFileSync(at, this.#content());
      chmodSync(at, 0o4755);
    },
    owner: () => this.#onAny((at) => lchownSync(at, this.#random(70_000), this.#random(5))),
    time: () => this.#onAny((at) => lutimesSync(at, 1, 1_000_000_000 + this.#random(1e6) / 1e3)),
    xattr: () =>
      this.#onAny(
        (at) =>
          this.#isPlain(at) &&
          this.#program('setfattr', '-n', `user.x${this.#random(3)}`, '-v', String(this.#random(100)), at),
      ),
    trusted: () =>
      this.#onAny((at) =>
        this.#program('setfattr', '-h', '-n', `trusted.t${this.#random(3)}`, '-v', 'y', at),
      ),
    capability: () =>
      this.#onFile((at) => this.#program('setfattr', '-n', 'security.capability', '-v', CAPABILITY, at)),
    acl: () =>
      this.#onAny((at) => {
        if (!this.#isPlain(at) || (lstatSync(at).mode & 0o4000) !== 0) return;
        this.#program('setfacl', '-m', `u:${1000 + this.#random(5)}:r`, at);
      }),
    defaultAcl: () =>
      this.#onDirectory((at) => this.#program('setfacl', '-d', '-m', `u:${1000 + this.#random(5)}:rx`, at)),
    mkdir: () => this.#made((at) => mkdirSync(at)),
    mkdirs: () =>
      this.#made((at) => {
        const deep = Buffer.concat([at, bytes('/a/b/c')]);
        mkdirSync(deep, { recursive: true });
        for (const name of ['x', 'y'])
          writeFileSync(Buffer.concat([deep, bytes(`/${name}`)]), this.#content());
      }),
    remove: () => this.#onAny((at) => rmSync(at, { recursive: true })),
    unlink: () => this.#onFile((at) => unlinkSync(at)),
    rename: () => this.#onAny((at) => this.#made((to) => renameSync(at, to))),
    renameOver: () => this.#onFile((at) => this.#onFile((to) => renameSync(at, to))),
    replace: () =>
      this.#onFile((at) => {
        const fresh = Buffer.concat([at, bytes('.new')]);
        writeFileSync(fresh, this.#content());
        renameSync(fresh, at);
      }),
    moveOut: () => this.#onDirectory((at) => renameSync(at, `${this.#outsideDir}/${this.#names++}`)),
    moveOutAndMakeAnew: () =>
      this.#onDirectory((at) => {
        renameSync(at, `${this.#outsideDir}/${this.#names++}`);
        mkdirSync(at);
        writeFileSync(Buffer.concat([at, bytes('/fresh')]), this.#content());
      }),
    moveIn: () => {
      const outside = readdirSync(this.#outsideDir);
      const name = outside[this.#random(outside.length || 1)];
      return name !== undefined && this.#made((at) => renameSync(`${this.#outsideDir}/${name}`, at));
    },
    hardLink: () => this.#onFile((at) => this.#made((to) => this.#link(at, to))),
    hardLinkMore: () => this.#onFile((at) => this.#made((to) => this.#link(at, to))),
    untie: () =>
      this.#onFile((at) => {
        const fresh = Buffer.concat([at, bytes('.own')]);
        this.#program('cp', '-p', at, fresh);
        renameSync(fresh, at);
      }),
    symlink: () =>
      this.#made((at) => symlinkSync(['nowhere', '.', '..', '/etc', 'line\nend'][this.#random(5)] ?? '', at)),
    symlinkInPlaceOfDirectory: () =>
      this.#onDirectory((at) => {
        rmSync(at, { recursive: true });
        symlinkSync('..', at);
      }),
    fileInPlaceOfDirectory: () =>
      this.#onDirectory((at) => {
        rmSync(at, { recursive: true });
        writeFileSync(at, 'now a file');
      }),
    directoryInPlaceOfFile: () =>
      this.#onFile((at) => {
        unlinkSync(at);
        mkdirSync(at);
      }),
    fifo: () => this.#made((at) => this.#program('mknod', at, 'p')),
    device: () => this.#made((at) => this.#program('mknod', at, 'c', '0', '0')),
    blockDevice: () => this.#made((at) => this.#program('mknod', at, 'b', '7', '200')),
    linkedDevice: () =>
      this.#onAny((at) => lstatSync(at).isDirectory() || this.#made((to) => this.#link(at, to))),
  };

  /** From now on files that were given another name may be written to: whoever watches has had time to look. */
  settle(): void {
    this.#freshlyLinked.clear();
  }

  #link(at: Buffer, to: Buffer): void {
    linkSync(at, to);
    this.#freshlyLinked.add(lstatSync(at).ino);
  }

  /** At a path that is not there yet, below a directory that is. */
  #made(make: (at: Buffer) => void): string {
    const odd = this.#random(3) === 0 ? ODD_NAMES[this.#random(ODD_NAMES.length)] : '';
    const path = `${this.#pick((at) => lstatSync(at).isDirectory()) ?? ''}/${odd}${this.#names++}`.replace(
      /^\//,
      '',
    );
    make(this.#at(path));
    return path;
  }

  #onFile(change: (at: Buffer) => void): string | undefined {
    return this.#on((at) => lstatSync(at).isFile(), change);
  }

  #onDirectory(change: (at: Buffer) => void): string | undefined {
    return this.#on((at, path) => path !== '' && lstatSync(at).isDirectory(), change);
  }

  #onAny(change: (at: Buffer) => unknown): string | undefined {
    return this.#on((_, path) => path !== '', change);
  }

  #on(suits: (at: Buffer, path: string) => boolean, change: (at: Buffer) => unknown): string | undefined {
    const path = this.#pick(suits);
    if (path !== undefined) change(this.#at(path));
    return path;
  }

  #pick(suits: (at: Buffer, path: string) => boolean): string | undefined {
    const isFresh = (at: Buffer) => this.#freshlyLinked.has(lstatSync(at).ino);
    const paths = this.#paths('').filter((path) => suits(this.#at(path), path) && !isFresh(this.#at(path)));
    return paths[this.#random(paths.length || 1)];
  }

  #paths(path: string): string[] {
    const entries = readdirSync(this.#at(path), { encoding: 'latin1', withFileTypes: true });
    return [
      path,
      ...entries.flatMap((entry) => {
        const inner = path === '' ? entry.name : `${path}/${entry.name}`;
        return entry.isDirectory() ? this.#paths(inner) : [inner];
      }),
    ];
  }

  #at(path: string): Buffer {
    return Buffer.concat([Buffer.from(`${this.#dir}/`), bytes(path)]);
  }

  #isPlain(at: Buffer): boolean {
    const stat = lstatSync(at);
    return stat.isFile() || stat.isDirectory();
  }

  /** Its arguments are bytes: a shell brings them through, which Node's own arguments would not. */
  #program(name: string, ...args: (string | Buffer)[]): void {
    const words = args.map((arg) => `'${arg.toString('latin1').replaceAll("'", "'\\''")}'`);
    const script = bytes(`exec ${name} ${words.join(' ')}\n`);
    execFileSync('sh', ['-s'], { input: script, stdio: ['pipe', 'ignore', 'pipe'] });
  }

  #content(most = 20_000): Buffer {
    const size = this.#random(most);
    const content = Buffer.alloc(size);
    for (let at = 0; at + 4 <= size; at += 4) content.writeUInt32LE(this.#random(2 ** 32), at);
    return content;
  }
}
