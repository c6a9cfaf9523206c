import { type ConfigLine, readConfigLines } from './config-lines.ts';

/** A part of a haproxy.cfg, from its first line to the next one's. */
export interface ConfigSection {
  readonly kind: string;
  /** Empty for one without. */
  readonly name: string;
  /** The defaults it names; when it names none, those before it are its own. */
  readonly from: string | undefined;
  /** Of its first line. */
  readonly number: number;
  readonly lines: readonly ConfigLine[];
}

const KINDS: ReadonlySet<string> = new Set([
  ...['global', 'defaults', 'frontend', 'backend', 'listen', 'acme', 'cache', 'crt-store', 'fcgi-app'],
  ...['http-errors', 'log-forward', 'log-profile', 'mailers', 'namespace_list', 'peers', 'program'],
  ...['resolvers', 'ring', 'traces', 'userlist'],
]);
const TAKE_CONNECTIONS: ReadonlySet<string> = new Set(['frontend', 'listen']);

/** A haproxy.cfg by its sections. */
export class ConfigSections {
  readonly all: readonly ConfigSection[];
  /** After its last line. */
  readonly end: number;

  constructor(text: string) {
    const sections: (ConfigSection & { lines: ConfigLine[] })[] = [];
    for (const line of readConfigLines(text)) {
      const [kind = '', name = ''] = line.words;
      if (KINDS.has(kind)) {
        const from = line.words.indexOf('from');
        sections.push({
          kind,
          name: name === 'from' ? '' : name,
          from: from < 0 ? undefined : line.words[from + 1],
          number: line.number,
          lines: [],
        });
      } else sections.at(-1)?.lines.push(line);
    }
    this.all = sections;
    this.end = text.replace(/\n*$/, '\n').split('\n').length;
  }

  of(kind: string, name?: string): ConfigSection[] {
    return this.all.filter((one) => one.kind === kind && (name === undefined || one.name === name));
  }

  /** Those through which HTTP requests may come in; what only shows figures is none of them. */
  entrances(): ConfigSection[] {
    return this.all.filter(
      (one) =>
        TAKE_CONNECTIONS.has(one.kind) &&
        this.inForce(one).find(({ words }) => words[0] === 'mode')?.words[1] !== 'tcp' &&
        !one.lines.some(({ words }) => words[0] === 'stats' && words[1] !== 'socket'),
    );
  }

  /** The defaults that hold for a section. */
  defaultsOf(section: ConfigSection): ConfigSection | undefined {
    const before = this.all.slice(0, this.all.indexOf(section)).filter(({ kind }) => kind === 'defaults');
    if (section.from !== undefined) return before.findLast(({ name }) => name === section.from);
    return section.kind === 'defaults' ? undefined : before.at(-1);
  }

  /** Its own lines, then those it has from defaults: of what can be said once, the first holds. */
  inForce(section: ConfigSection): ConfigLine[] {
    const defaults = this.defaultsOf(section);
    return [...section.lines, ...(defaults === undefined ? [] : this.inForce(defaults))];
  }
}
