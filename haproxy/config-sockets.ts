import { type ConfigLine, fits } from './config-lines.ts';
import { type Verdict, Weight } from './config-needs.ts';

/**
 * The runtime socket among the lines of `global`. One that Holdfast is given must have level admin. When it is given none of
 * those, it must be the master's, which is on HAProxy's command line: a worker's own is good to have then.
 *
 * @param given to Holdfast: paths or `ADDRESS:PORT`
 */
export function judgeSockets(given: readonly string[]): (lines: readonly ConfigLine[]) => Verdict {
  return (lines) => {
    const sockets = lines.filter(({ words }) => words[0] === 'stats' && words[1] === 'socket');
    const weak = sockets.find((line) => given.some((one) => isAt(line, one)) && !isAdmin(line));
    if (weak !== undefined) {
      return {
        kind: 'wrong',
        line: weak,
        text: withAdmin(weak),
        why: 'Holdfast is given this socket, and may only look.',
      };
    }
    const line = sockets.find(isAdmin);
    return line === undefined ? { kind: 'missing', weight: Weight.advised } : { kind: 'met', line };
  };
}

function isAt({ words }: ConfigLine, given: string): boolean {
  const bound = (words[2] ?? '').replace(/^(unix|ipv4|ipv6)@/, '');
  if (given.startsWith('/')) return fits(bound, given);
  // One that is bound to all addresses is reached at any of them.
  return fits(bound, given) || new RegExp(`^(\\*|0\\.0\\.0\\.0|\\[?::\\]?)?:${portOf(given)}$`).test(bound);
}

function portOf(address: string): string {
  return address.slice(address.lastIndexOf(':') + 1);
}

/** Without a level it is `operator`, which may not change where a server is. */
function isAdmin({ words }: ConfigLine): boolean {
  return fits(words[words.indexOf('level') + 1], 'admin') && words.includes('level');
}

function withAdmin({ words }: ConfigLine): string {
  const at = words.indexOf('level');
  const others = at < 0 ? words : [...words.slice(0, at), ...words.slice(at + 2)];
  return [...others, 'level', 'admin'].join(' ');
}
