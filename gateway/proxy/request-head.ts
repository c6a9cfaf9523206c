import type { IncomingMessage } from 'node:http';
import { HoldfastError } from '../../migrator/errors.ts';
import type { Caller } from './callers.ts';
import { connectionOptions, isHopByHop } from './hop-by-hop.ts';

/** A request's head as the app shall see it. */
export interface RequestHead {
  readonly path: string;
  readonly host: string;
  /** Names and values in turn, in the client's order, duplicates and all. */
  readonly headers: string[];
}

/** Where a request is meant to go: host and path, of which an absolute-form target overrules the Host header. */
export interface Destination {
  readonly host: string;
  readonly path: string;
}

/** @throws HoldfastError `BAD_REQUEST` */
export function destinationOf(req: IncomingMessage): Destination {
  const target = req.url ?? '';
  const host = req.headers.host ?? '';
  if (target.startsWith('/')) return { host, path: target };
  const [, authority, path] = /^https?:\/\/([^/?#@]+)([^#]*)$/i.exec(target) ?? [];
  if (authority === undefined || path === undefined) {
    throw new HoldfastError('BAD_REQUEST', 'the request target is neither a path nor an http URL');
  }
  return { host: authority, path: path.startsWith('/') ? path : `/${path}` };
}

export function hasBody(req: IncomingMessage): boolean {
  return req.headers['transfer-encoding'] !== undefined || Number(req.headers['content-length'] ?? 0) > 0;
}

/** What becomes of what the client says in X-Forwarded headers. */
export const Forwarded = {
  /** Anybody may be the client. */
  replaced: 'replaced',
  /** The client is a proxy of ours, and one hop more is to be told of. */
  extended: 'extended',
  /** The client is the proxy that the app is behind in any case, so this hop is not to be seen: all is left as it is. */
  kept: 'kept',
} as const;
export type Forwarded = (typeof Forwarded)[keyof typeof Forwarded];

/**
 * Strip what belongs to the client's connection, and say who asks.
 *
 * @throws HoldfastError `BAD_REQUEST` when there are two Host headers: whoever reads the other one sees another site.
 */
export function requestHead(
  req: IncomingMessage,
  destination: Destination,
  who: { readonly caller: Caller; readonly forwarded: Forwarded },
): RequestHead {
  const { forwarded } = who;
  const raw = req.rawHeaders;
  const dropped = connectionOptions(req.headers.connection);
  const headers: string[] = [];
  let hosts = 0;
  for (let i = 0; i < raw.length; i += 2) {
    const name = raw[i] ?? '';
    const lower = name.toLowerCase();
    if (lower === 'host') {
      hosts += 1;
    } else if (!isHopByHop(lower) && !dropped?.has(lower) && !OF_THIS_HOP.has(lower)) {
      if (!isSaidAnew(lower, forwarded)) headers.push(name, raw[i + 1] ?? '');
    }
  }
  if (hosts > 1) throw new HoldfastError('BAD_REQUEST', 'the request has more than one Host header');
  if (destination.host !== '') headers.push('Host', destination.host);
  // Trailers of the answer can be passed on, so the app may know it.
  if (req.headers.te?.toString().toLowerCase().includes('trailers')) headers.push('TE', 'trailers');
  if (forwarded !== Forwarded.kept) forward(req, destination, who, headers);
  return { ...destination, headers };
}

/** Not hop-by-hop by the book, but settled anew here. */
const OF_THIS_HOP: ReadonlySet<string> = new Set(['expect', 'trailer']);
const FORWARDED: ReadonlySet<string> = new Set(['x-forwarded-for', 'x-forwarded-proto', 'x-forwarded-host']);

/** Whether what the client says of who asks is put in other words, or not said at all. */
function isSaidAnew(lower: string, forwarded: Forwarded): boolean {
  if (forwarded === Forwarded.kept) return false;
  return FORWARDED.has(lower) || (forwarded === Forwarded.replaced && lower === 'forwarded');
}

function forward(
  req: IncomingMessage,
  destination: Destination,
  { caller, forwarded }: { readonly caller: Caller; readonly forwarded: Forwarded },
  headers: string[],
): void {
  const said = (name: string) =>
    forwarded === Forwarded.replaced ? undefined : req.headers[name]?.toString();
  const before = said('x-forwarded-for');
  headers.push('X-Forwarded-For', before === undefined ? caller.address : `${before}, ${caller.address}`);
  headers.push('X-Forwarded-Proto', said('x-forwarded-proto') ?? caller.scheme);
  headers.push('X-Forwarded-Host', said('x-forwarded-host') ?? destination.host);
}
