export interface Route {
  readonly app: string;
  /** `app.example.com`, `*.example.com` (any depth below it), or left out: every host. */
  readonly host?: string | undefined;
  /** Whole segments: `/api` takes `/api` and `/api/x`, not `/apix`. `/` when left out. */
  readonly path?: string | undefined;
}

interface Prefix {
  readonly path: string;
  readonly app: string;
}

/** The most specific host decides first, then the longest path; a host whose paths all miss leaves it to the next. */
export class RouteTable {
  readonly #exact = new Map<string, Prefix[]>();
  readonly #wildcard = new Map<string, Prefix[]>();
  readonly #everyHost: Prefix[] = [];

  constructor(routes: readonly Route[]) {
    for (const { app, host, path = '/' } of routes) {
      const prefixes = this.#prefixesOf(host?.toLowerCase());
      prefixes.push({ app, path: path.endsWith('/') ? path.slice(0, -1) : path });
      prefixes.sort((a, b) => b.path.length - a.path.length);
    }
  }

  /** `host` as in the Host header, perhaps with a port; `path` in origin form, perhaps with a query. */
  find(host: string, path: string): string | undefined {
    const name = nameOf(host);
    const exact = match(this.#exact.get(name), path);
    if (exact !== undefined) return exact;
    for (let dot = name.indexOf('.'); dot >= 0 && this.#wildcard.size > 0; dot = name.indexOf('.', dot + 1)) {
      const app = match(this.#wildcard.get(name.slice(dot + 1)), path);
      if (app !== undefined) return app;
    }
    return match(this.#everyHost, path);
  }

  #prefixesOf(host: string | undefined): Prefix[] {
    if (host === undefined) return this.#everyHost;
    const table = host.startsWith('*.') ? this.#wildcard : this.#exact;
    const key = host.startsWith('*.') ? host.slice(2) : host;
    const prefixes = table.get(key) ?? [];
    table.set(key, prefixes);
    return prefixes;
  }
}

/** Without port and final dot, in lower case. `[::1]:80` keeps its brackets. */
function nameOf(host: string): string {
  const colon = host.indexOf(':', host.startsWith('[') ? host.indexOf(']') : 0);
  const name = (colon < 0 ? host : host.slice(0, colon)).toLowerCase();
  return name.endsWith('.') ? name.slice(0, -1) : name;
}

function match(prefixes: readonly Prefix[] | undefined, path: string): string | undefined {
  return prefixes?.find((prefix) => isBelow(path, prefix.path))?.app;
}

function isBelow(path: string, prefix: string): boolean {
  if (!path.startsWith(prefix)) return false;
  const next = path[prefix.length];
  return prefix === '' || next === undefined || next === '/' || next === '?';
}
