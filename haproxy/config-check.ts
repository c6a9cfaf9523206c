import { HoldfastError } from '../migrator/errors.ts';
import type { ConfigLine } from './config-lines.ts';
import { type Need, Weight } from './config-needs.ts';
import { waysWithoutMap } from './config-routes.ts';
import { type ConfigSection, ConfigSections } from './config-sections.ts';
import { strayServers } from './config-servers.ts';
import { type ConfigTextOptions, type DefaultNeed, neededDefaults, neededSections } from './config-text.ts';
import { GATE_BACKEND } from './names.ts';

/** A line of a haproxy.cfg that is missing or wrong. */
export interface ConfigFinding {
  readonly weight: Weight;
  readonly kind: 'missing' | 'wrong';
  /** `backend holdfast_app_shop`; of a section that is missing, its own first line. */
  readonly section: string;
  /** Of what is wrong; or the number that the first of the missing lines is to have. */
  readonly line: number;
  /** What is wrong, as it is written. */
  readonly found?: string;
  /** What is to stand there; several lines for a section that is missing, none for what is to go. */
  readonly lines: readonly string[];
  readonly why: string;
}

/** The proxies of a configuration that matter here. */
interface Ours {
  readonly frontends: readonly ConfigSection[];
  readonly backends: readonly ConfigSection[];
}

/**
 * Hold a haproxy.cfg against what Holdfast needs in it.
 *
 * @param frontend where the apps' requests come in; found by what is in it when not given
 * @throws HoldfastError `HAPROXY_FRONTEND_UNCLEAR`
 */
export function checkHaproxyConfig(
  text: string,
  options: ConfigTextOptions,
  frontend?: string,
): ConfigFinding[] {
  const file = new ConfigSections(text);
  const entrances = chosen(file, frontend);
  const findings: ConfigFinding[] = [];
  const ours = { frontends: entrances, backends: [] as ConfigSection[] };
  for (const needed of neededSections(options)) {
    const { kind, name, needs } = needed;
    const there = kind === 'frontend' ? entrances : file.of(kind, kind === 'global' ? undefined : name);
    if (kind === 'backend') ours.backends.push(...there);
    if (there.length === 0) {
      const line = kind === 'global' ? 1 : file.end;
      findings.push(missingSection(`${kind} ${name}`.trim(), line, needs));
    } else if (kind === 'global') {
      const lines = there.flatMap((section) => section.lines);
      const last = there.at(-1) as ConfigSection;
      findings.push(...judgeAll(last, needs, lines));
    } else {
      for (const section of there) findings.push(...judgeAll(section, needs, file.inForce(section)));
    }
  }
  findings.push(...new Defaults(file, ours, neededDefaults(options)).judge());
  findings.push(...ours.frontends.flatMap((section) => mapless(section, options.map)));
  findings.push(...ours.backends.flatMap(strays));
  return findings.sort((a, b) => a.line - b.line);
}

function chosen(file: ConfigSections, name: string | undefined): ConfigSection[] {
  const all = file.entrances();
  const names = all.map((one) => one.name).join(', ');
  if (name !== undefined) {
    const named = all.filter((one) => one.name === name);
    if (named.length > 0) return named;
    throw unclear(`there is no frontend ${name}`, names);
  }
  const isMentioned = ({ words }: ConfigLine) => words.some((word) => /holdfast_(app|gate)/.test(word));
  const mentioned = all.filter(({ lines }) => lines.some(isMentioned));
  if (mentioned.length > 0) return mentioned;
  if (all.length > 1) throw unclear('which frontend takes the apps’ requests is not to be seen', names);
  return all;
}

function unclear(what: string, names: string): HoldfastError {
  return new HoldfastError('HAPROXY_FRONTEND_UNCLEAR', what, {
    mend: `name it with --frontend: ${names || 'there is none'}`,
  });
}

function judgeAll(
  section: ConfigSection,
  needs: readonly Need[],
  lines: readonly ConfigLine[],
): ConfigFinding[] {
  let at = section.number + 1;
  return needs.flatMap((need): ConfigFinding[] => {
    const verdict = need.judge(lines);
    const isOwn = verdict.kind !== 'missing' && section.lines.includes(verdict.line);
    if (verdict.kind !== 'missing' && isOwn) at = verdict.line.number + 1;
    if (verdict.kind === 'met') return [];
    const base = { weight: need.weight, section: nameOf(section), why: need.why };
    if (verdict.kind === 'missing') {
      const { texts = [need.text], weight = need.weight } = verdict;
      return [{ ...base, weight, kind: 'missing', line: at, lines: texts }];
    }
    return [wrong(base, verdict.line, verdict.text, verdict.why)];
  });
}

function wrong(
  base: Pick<ConfigFinding, 'weight' | 'section'>,
  { number, text: found }: ConfigLine,
  text: string,
  why: string,
): ConfigFinding {
  return { ...base, kind: 'wrong', line: number, found, lines: [text], why };
}

function missingSection(header: string, line: number, needs: readonly Need[]): ConfigFinding {
  const lines = [header, ...needs.map(({ text }) => `  ${text}`)];
  const isRequired = needs.some(({ weight }) => weight === Weight.required);
  const weight = isRequired ? Weight.required : Weight.advised;
  return { weight, kind: 'missing', section: header, line, lines, why: 'The section is not there.' };
}

function mapless(section: ConfigSection, map: string): ConfigFinding[] {
  const base = { weight: Weight.required, section: nameOf(section) };
  return waysWithoutMap(section.lines, map).map(([line, text]) =>
    wrong(base, line, text, `It does not go by the map ${map}.`),
  );
}

function nameOf({ kind, name }: ConfigSection): string {
  return `${kind} ${name}`.trim();
}

/** What changes a request or its answer only when HAProxy sends it to the app itself. */
const ON_ONE_WAY: ReadonlySet<string> = new Set([
  ...['http-request', 'http-response', 'http-after-response', 'redirect', 'cookie'],
]);

function strays(section: ConfigSection): ConfigFinding[] {
  const base = { kind: 'wrong', section: nameOf(section), lines: [] } as const;
  const servers = strayServers(section.lines).map(({ number, text }): ConfigFinding => {
    const why = 'It would be sent requests, whatever Holdfast does.';
    return { ...base, weight: Weight.required, line: number, found: text, why };
  });
  if (section.name === GATE_BACKEND) return servers;
  const rules = section.lines.filter(({ words }) => ON_ONE_WAY.has(words[0] ?? ''));
  const onOneWay = rules.map(({ number, text }): ConfigFinding => {
    const why = 'It does not hold for requests that go by way of the gate: it belongs into the frontend.';
    return { ...base, weight: Weight.advised, line: number, found: text, why };
  });
  return [...servers, ...onOneWay];
}

/** What a section has from its defaults, or says itself. */
class Defaults {
  readonly #file: ConfigSections;
  readonly #ours: Ours;
  readonly #needs: readonly DefaultNeed[];

  constructor(file: ConfigSections, ours: Ours, needs: readonly DefaultNeed[]) {
    this.#file = file;
    this.#ours = ours;
    this.#needs = needs;
  }

  judge(): ConfigFinding[] {
    const { frontends, backends } = this.#ours;
    const ours = [...frontends, ...backends];
    if (ours.length > 0 && this.#file.of('defaults').length === 0) {
      const lacking = this.#needs.filter((need) =>
        this.#concerned(need).some((section) => need.judge(section.lines).kind === 'missing'),
      );
      const line = Math.min(...ours.map(({ number }) => number));
      return lacking.length === 0 ? [] : [missingSection('defaults', line, lacking)];
    }
    const places = new Map<ConfigSection, DefaultNeed[]>();
    for (const need of this.#needs) {
      for (const section of this.#concerned(need)) {
        const place = this.#placeOf(need, section);
        if (place === undefined || places.get(place)?.includes(need)) continue;
        places.set(place, [...(places.get(place) ?? []), need]);
      }
    }
    return [...places].flatMap(([place, needs]) => {
      const all = this.#needs.filter(
        (need) => need.judge(place.lines).kind === 'met' || needs.includes(need),
      );
      return judgeAll(place, all, place.lines);
    });
  }

  #concerned({ of }: DefaultNeed): readonly ConfigSection[] {
    const { frontends, backends } = this.#ours;
    if (of === 'both') return [...frontends, ...backends];
    return of === 'frontends' ? frontends : backends;
  }

  /** Where to say what a section lacks: in its defaults, unless that would change proxies that are none of ours. */
  #placeOf(need: DefaultNeed, section: ConfigSection): ConfigSection | undefined {
    const verdict = need.judge(this.#file.inForce(section));
    if (verdict.kind === 'met') return undefined;
    const defaults = this.#file.defaultsOf(section);
    if (defaults === undefined || (verdict.kind === 'wrong' && section.lines.includes(verdict.line))) {
      return section;
    }
    const { frontends, backends } = this.#ours;
    const isShared = this.#file.all.some(
      (one) =>
        ['frontend', 'backend', 'listen'].includes(one.kind) &&
        !frontends.includes(one) &&
        !backends.includes(one) &&
        this.#file.defaultsOf(one) === defaults,
    );
    const isHarmless = verdict.kind === 'missing' && need.weight === Weight.advised;
    return isShared && !isHarmless ? section : defaults;
  }
}
