import type { ConfigLine } from './config-lines.ts';
import { begins, isSame, type Need, required, type Verdict, Weight } from './config-needs.ts';
import { backendOf, GATE_BACKEND, Way } from './names.ts';

export interface AppText {
  readonly name: string;
  /** Undefined: any host, any path. */
  readonly matches: readonly { readonly host?: string | undefined; readonly path?: string | undefined }[];
}

interface Match {
  readonly app: string;
  readonly host: string | undefined;
  readonly path: string;
}

const APP = 'txn.holdfast_app';

/** Which app a request is for, by the rules of the gateway: the most exact host decides, then the longest path. */
export function appRoutes(apps: readonly AppText[]): Need[] {
  const texts = apps
    .flatMap(({ name, matches }) =>
      matches.map(
        ({ host, path = '/' }): Match => ({
          app: name,
          host: host?.toLowerCase(),
          path: path.endsWith('/') ? path : `${path}/`,
        }),
      ),
    )
    .sort((a, b) => rank(b.host) - rank(a.host) || b.path.length - a.path.length)
    .map((match) => ({ text: route(match), app: match.app }));
  return texts.map(({ text, app }, i) =>
    required(text, 'Which app: the most exact host decides, then the longest path.', (lines) => {
      const line = lines.find((one) => isSame(one, text));
      if (line === undefined) return { kind: 'missing', ...whenByHand(lines, app, texts) };
      const late = lines.find((one) => texts.slice(i + 1).some((after) => isSame(one, after.text)));
      if (late === undefined || late.number > line.number) return { kind: 'met', line };
      return {
        kind: 'wrong',
        line,
        text,
        why: `It belongs before line ${late.number}, which is less exact.`,
      };
    }),
  );
}

/** Somebody who finds an app in a way of their own may have said all there is to say. */
function whenByHand(
  lines: readonly ConfigLine[],
  app: string,
  printed: readonly { readonly text: string }[],
): { weight?: Weight } {
  const byHand = lines.some(
    (line) =>
      begins(line, ['http-request', `set-var(${APP})`, `str(${app})`]) &&
      !printed.some(({ text }) => isSame(line, text)),
  );
  return byHand ? { weight: Weight.advised } : {};
}

/** Exact hosts, then wildcards with the longest first, then any. */
function rank(host: string | undefined): number {
  if (host === undefined) return -1;
  return host.startsWith('*.') ? host.length : 1_000;
}

function route({ app, host, path }: Match): string {
  const words = [
    'http-request',
    `set-var(${APP})`,
    `str(${app})`,
    ...['if', '!{', `var(${APP})`, '-m', 'found', '}'],
  ];
  if (host !== undefined) {
    const [how, what] = host.startsWith('*.') ? ['end', host.slice(1)] : ['str', host];
    words.push('{', 'req.hdr(host),field(1,:),lower', '-m', how ?? '', what ?? '', '}');
  }
  // With a slash at its end, so that /shop is not taken for the beginning of /shops.
  if (path !== '/') words.push('{', 'path,concat(/)', '-m', 'beg', path, '}');
  return words.join(' ');
}

/** Straight to the app, as long as the map says so. */
export function directWay(map: string, apps: readonly AppText[]): Need {
  const condition = `{ var(${APP}),map(${map},${Way.gate}) -m str ${Way.direct} }`;
  const text = `use_backend ${backendOf(`%[var(${APP})]`)} if ${condition}`;
  return required(text, 'Which way. What the map does not say goes to the gate.', (lines) => {
    const ways = directLines(lines);
    const wrong = ways.find((line) => !asksMap(line, map));
    if (wrong !== undefined)
      return { kind: 'wrong', line: wrong, text, why: `It does not go by the map ${map}.` };
    const targets = ways.map(({ words }) => words[1]);
    const isForAll = targets.some((target) => target?.includes('%['));
    const areThere = isForAll || apps.every(({ name }) => targets.includes(backendOf(name)));
    const [line] = ways;
    return line !== undefined && areThere ? { kind: 'met', line } : { kind: 'missing' };
  });
}

function directLines(lines: readonly ConfigLine[]): ConfigLine[] {
  return lines.filter(({ words }) => words[0] === 'use_backend' && words[1]?.startsWith(backendOf('')));
}

function asksMap({ words }: ConfigLine, map: string): boolean {
  const text = words.join(' ');
  return [`map(${map},`, `map(${map})`, `map_str(${map},`, `map_str(${map})`].some((one) =>
    text.includes(one),
  );
}

/** Everything else goes to the gate; beside applications that Holdfast knows nothing of, everything of its own. */
export function gateWay(): Need {
  const text = `default_backend ${GATE_BACKEND}`;
  const ofOurs = `use_backend ${GATE_BACKEND} if { var(${APP}) -m found }`;
  const why = 'Nobody’s requests go to the gate too, and are answered 404 there.';
  return required(text, why, (lines) => {
    const line = lines.find((one) => isSame(one, text) || begins(one, ['use_backend', GATE_BACKEND]));
    if (line === undefined) {
      const isTaken = lines.some(({ words }) => words[0] === 'default_backend');
      return isTaken ? { kind: 'missing', text: ofOurs } : { kind: 'missing' };
    }
    const early =
      line.words[0] === 'use_backend' && directLines(lines).some((one) => one.number > line.number);
    const verdict: Verdict = {
      kind: 'wrong',
      line,
      text: line.text,
      why: 'It belongs after the direct way.',
    };
    return early ? verdict : { kind: 'met', line };
  });
}
