import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { lstatSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';

/** Everything that can be told of what is below a directory, a line for each path, except access and change times. */
export function fullListing(dir: string): Map<string, string> {
  const listing = new Map<string, string>();
  const firstNames = new Map<bigint, string>();
  const xattrs = allXattrs(dir);
  const visit = (path: string) => {
    const at = bytes(`${dir}/${path}`);
    const stat = lstatSync(at, { bigint: true });
    const facts: Record<string, unknown> = {
      mode: stat.mode.toString(8),
      owner: `${stat.uid}:${stat.gid}`,
      mtime: String(stat.mtimeNs),
      xattrs: xattrs.get(path) ?? '',
    };
    if (stat.isDirectory()) {
      listing.set(path, JSON.stringify(facts));
      const names = readdirSync(at, { encoding: 'latin1' }).sort();
      for (const name of names) visit(path === '' ? name : `${path}/${name}`);
      return;
    }
    if (!firstNames.has(stat.ino)) firstNames.set(stat.ino, path);
    facts.sameAs = firstNames.get(stat.ino);
    if (stat.isSymbolicLink()) facts.target = readlinkSync(at, { encoding: 'latin1' });
    if (stat.isCharacterDevice() || stat.isBlockDevice()) facts.device = String(stat.rdev);
    if (stat.isFile()) {
      facts.size = String(stat.size);
      facts.content = createHash('sha1').update(readFileSync(at)).digest('hex');
    }
    listing.set(path, JSON.stringify(facts));
  };
  visit('');
  return listing;
}

/** What differs, for a test's message: at most a few lines of each. */
export function differences(a: Map<string, string>, b: Map<string, string>): string[] {
  const paths = new Set([...a.keys(), ...b.keys()]);
  return [...paths]
    .filter((path) => a.get(path) !== b.get(path))
    .slice(0, 10)
    .map((path) => `${JSON.stringify(path)}: ${a.get(path)} | ${b.get(path)}`);
}

/** Paths here are strings in latin1: a byte a character. */
export function bytes(path: string): Buffer {
  return Buffer.from(path, 'latin1');
}

/** ACLs and file capabilities are among them. */
function allXattrs(dir: string): Map<string, string> {
  const found = new Map<string, string>();
  const said = execFileSync('getfattr', ['-R', '-P', '-h', '-d', '-m', '-', '-e', 'hex', '.'], {
    cwd: dir,
    maxBuffer: 1 << 28,
    encoding: 'latin1',
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  for (const block of said.split('\n\n')) {
    const [head = '', ...lines] = block.split('\n').filter(Boolean);
    const path = /^# file: (?:\.\/?)?(.*)$/.exec(head)?.[1];
    if (path === undefined) continue;
    const name = path.replace(/\\(\d{3})/g, (_, code: string) =>
      String.fromCharCode(Number.parseInt(code, 8)),
    );
    found.set(name, lines.sort().join(' '));
  }
  return found;
}
