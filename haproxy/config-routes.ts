import { type ConfigLine, fits } from './config-lines.ts';
import { begins, isSame, type Need, required, type Verdict, Weight } from './config-needs.ts';
import { backendOf, GATE_BACKEND, Way } from './names.ts';

export interface AppText {
  readonly name: string;
  /** Undefined: any host, any path. */
  readonly matches: readonly { readonly host?: string | undefined; readonly path?: string | undefined }[];
}

/** Some requests of one app, and what sends them their way. */
interface Route {
  readonly app: string;
  readonly host: string | undefined;
  readonly path: string;
  /** Straight to the app, as long as the map says so. */
  readonly direct: string;
  /** All of its requests to the gate. */
  readonly gate: string;
}

/** A line among those that are printed, and whose requests it is about. */
interface Rule {
  readonly text: string;
  readonly route: Route;
}

const WHICH_WAY =
  'Which way: the most exact host decides, then the longest path. What the map does not say goes to the gate.';

/**
 * Which way the requests of each app go, by the rules of the gateway. The first line that holds decides, so one that goes
 * directly is over with the least that can be asked; names that are made per request cost it four times as much.
 */
export function appRoutes(map: string, apps: readonly AppText[]): Need[] {
  const routes = routesOf(map, apps);
  const rules = routes.flatMap((route, i): Rule[] => {
    const direct = { text: route.direct, route };
    // Otherwise it would be the other app that answers while this one is held.
    const isOthersToo = routes.slice(i + 1).some((after) => after.app !== route.app && overlap(route, after));
    return isOthersToo ? [direct, { text: route.gate, route }] : [direct];
  });
  return rules.map(({ text, route }, i) =>
    required(text, WHICH_WAY, (lines) => {
      const line = lines.find((one) => isSame(one, text));
      if (line === undefined) {
        // Somebody who finds an app in a way of their own may have said all there is to say.
        const isByHand = byHand(lines, route.app, routes) !== undefined;
        return { kind: 'missing', ...(isByHand ? { weight: Weight.advised } : {}) };
      }
      const later = rules.slice(i + 1).filter((one) => overlap(one.route, route));
      const early = lines.find((one) => later.some((rule) => isSame(one, rule.text)));
      if (early === undefined || early.number > line.number) return { kind: 'met', line };
      const why = `It belongs before line ${early.number}, which is less exact.`;
      return { kind: 'wrong', line, text, why };
    }),
  );
}

/** Everything else goes to the gate; beside applications that Holdfast knows nothing of, everything of its own. */
export function gateWay(map: string, apps: readonly AppText[]): Need {
  const text = `default_backend ${GATE_BACKEND}`;
  const why = 'Nobody’s requests go to the gate too, and are answered 404 there.';
  const routes = routesOf(map, apps);
  return required(text, why, (lines) => {
    const fallback = lines.find(({ words }) => words[0] === 'default_backend');
    if (fallback !== undefined && isSame(fallback, text)) return { kind: 'met', line: fallback };
    const ways = routes.map((route): { direct: ConfigLine | undefined; gate: string } => {
      const hand = byHand(lines, route.app, routes);
      if (hand !== undefined) return { direct: hand, gate: withoutMap(hand) };
      return { direct: lines.find((line) => isSame(line, route.direct)), gate: route.gate };
    });
    const gates = ways.map(({ gate }) => lines.find((line) => isSame(line, gate)));
    const verdict = ways.flatMap(({ direct, gate }, i): Verdict[] => {
      const line = gates[i];
      if (line === undefined || direct === undefined || line.number > direct.number) return [];
      return [{ kind: 'wrong', line, text: gate, why: 'It belongs after the direct way.' }];
    })[0];
    if (verdict !== undefined) return verdict;
    const [line] = gates.filter((one) => one !== undefined);
    const lacking = ways.filter((_, i) => gates[i] === undefined).map(({ gate }) => gate);
    if (line !== undefined && lacking.length === 0) return { kind: 'met', line };
    return { kind: 'missing', texts: fallback === undefined ? [text] : [...new Set(lacking)] };
  });
}

/** Lines that send an app's requests to it whatever the map says, each as it should be. */
export function waysWithoutMap(
  lines: readonly ConfigLine[],
  map: string,
): [line: ConfigLine, text: string][] {
  return lines.filter(isDirect).flatMap((line): [ConfigLine, string][] => {
    const { words, text } = line;
    if (words.some((word) => asks(word, map))) return [];
    if (words.some((word) => QUESTION.test(word))) {
      return [[line, text.replace(/,map(_str)?\([^,)]*/, `,map$1(${map}`)]];
    }
    const app = words[1]?.slice(backendOf('').length) ?? '';
    const isConditional = words.includes('if') || words.includes('unless');
    return [[line, `${text}${isConditional ? '' : ' if'} ${mapSays(app, map)}`]];
  });
}

function routesOf(map: string, apps: readonly AppText[]): Route[] {
  return apps
    .flatMap(({ name, matches }) =>
      matches.map((one) => {
        const host = one.host?.toLowerCase();
        const path = one.path?.replace(/\/?$/, '/') ?? '/';
        const those = matchText(host, path);
        return {
          app: name,
          host,
          path,
          direct: ['use_backend', backendOf(name), 'if', ...those, mapSays(name, map)].join(' '),
          gate: ['use_backend', GATE_BACKEND, ...(those.length === 0 ? [] : ['if', ...those])].join(' '),
        };
      }),
    )
    .sort((a, b) => rank(b.host) - rank(a.host) || b.path.length - a.path.length);
}

/** Exact hosts, then wildcards with the longest first, then any. */
function rank(host: string | undefined): number {
  if (host === undefined) return -1;
  return host.startsWith('*.') ? host.length : 1_000;
}

function matchText(host: string | undefined, path: string): string[] {
  const words: string[] = [];
  if (host !== undefined) {
    const [how, what] = host.startsWith('*.') ? ['end', host.slice(1)] : ['str', host];
    // Some write a host name with its final dot.
    words.push(`{ req.hdr(host),host_only -m ${how} ${what} ${what}. }`);
  }
  // With a slash at its end, so that /shop is not taken for the beginning of /shops.
  if (path !== '/') words.push(`{ path,concat(/) -m beg ${path} }`);
  return words;
}

function mapSays(app: string, map: string): string {
  return `{ str(${app}),map(${map},${Way.gate}) -m str ${Way.direct} }`;
}

/** Whether there may be a request that both are about. */
function overlap(a: Route, b: Route): boolean {
  const isPath = a.path.startsWith(b.path) || b.path.startsWith(a.path);
  return isPath && (covers(a.host, b.host) || covers(b.host, a.host));
}

function covers(wide: string | undefined, host: string | undefined): boolean {
  if (wide === undefined || wide === host) return true;
  return wide.startsWith('*.') && host?.endsWith(wide.slice(1)) === true;
}

/** A line that sends an app's requests to it, or those of all apps, and is not one of those that are printed. */
function byHand(lines: readonly ConfigLine[], app: string, routes: readonly Route[]): ConfigLine | undefined {
  return lines.find(
    (line) =>
      isDirect(line) &&
      (line.words[1] === backendOf(app) || line.words[1]?.includes('%[')) &&
      !routes.some(({ direct }) => isSame(line, direct)),
  );
}

function isDirect(line: ConfigLine): boolean {
  return begins(line, ['use_backend']) && line.words[1]?.startsWith(backendOf('')) === true;
}

/** The question of a word to a map: what is looked up there, and in which. */
const QUESTION = /^(.*?),map(?:_str)?\(([^,)]*)/;

function asks(word: string, map: string): boolean {
  return fits(QUESTION.exec(word)?.[2], map);
}

/** A direct way without its question to the map: where an app's requests are to go while they do not go directly. */
function withoutMap({ words }: ConfigLine): string {
  const asked = words.findIndex((word) => QUESTION.test(word));
  if (asked < 0) return ['use_backend', GATE_BACKEND, ...words.slice(2)].join(' ');
  const [before, after] = [words.slice(2, asked - 1), words.slice(words.indexOf('}', asked) + 1)];
  const what = QUESTION.exec(words[asked] ?? '')?.[1] ?? '';
  // What is looked up may itself say whose the request is.
  const found = what.startsWith('str(') ? [] : ['{', what, '-m', 'found', '}'];
  return ['use_backend', GATE_BACKEND, ...before, ...found, ...after].join(' ');
}
