import { type ConfigLine, fits, wordsOf } from './config-lines.ts';

/** How much a line matters. */
export const Weight = {
  /** Without it a move is refused, or requests fail or go astray. */
  required: 'required',
  /** Holdfast works without it, but not as well. */
  advised: 'advised',
} as const;
export type Weight = (typeof Weight)[keyof typeof Weight];

/** What is to be said of a configuration's lines where one is needed. */
export type Verdict =
  | { readonly kind: 'met'; readonly line: ConfigLine }
  /** Others, or another weight, may do better here than what is printed. */
  | { readonly kind: 'missing'; readonly texts?: readonly string[]; readonly weight?: Weight }
  | { readonly kind: 'wrong'; readonly line: ConfigLine; readonly text: string; readonly why: string };

/** A line that Holdfast needs in a section of haproxy.cfg. */
export interface Need {
  /** As it is printed, and as it is to be added where it is missing. */
  readonly text: string;
  readonly why: string;
  readonly weight: Weight;
  /** @param lines those in force in the section */
  readonly judge: (lines: readonly ConfigLine[]) => Verdict;
}

type Judge = Need['judge'];

export function required(text: string, why: string, judge: Judge = as(text)): Need {
  return { text, why, weight: Weight.required, judge };
}

export function advised(text: string, why: string, judge: Judge = as(text)): Need {
  return { text, why, weight: Weight.advised, judge };
}

export function begins({ words }: ConfigLine, expected: readonly string[]): boolean {
  return expected.every((word, i) => fits(words[i], word));
}

export function isSame(line: ConfigLine, text: string): boolean {
  const words = wordsOf(text);
  return line.words.length === words.length && begins(line, words);
}

export function metBy(line: ConfigLine | undefined): Verdict {
  return line === undefined ? { kind: 'missing' } : { kind: 'met', line };
}

/** Word for word. */
function as(text: string): Judge {
  return (lines) => metBy(lines.find((line) => isSame(line, text)));
}

/** Whatever follows these words. */
export function beginning(...words: readonly string[]): Judge {
  return (lines) => metBy(lines.find((line) => begins(line, words)));
}

/** `option NAME`, unless it is taken back by `no option NAME` further in. */
export function option(name: string): Judge {
  return (lines) => {
    const line = lines.find((one) => begins(one, ['option', name]) || begins(one, ['no', 'option', name]));
    if (line?.words[0] !== 'no') return metBy(line);
    return { kind: 'wrong', line, text: `option ${name}`, why: 'It is taken back here.' };
  };
}

/** A setting with one value. */
export function value(keyword: string, expected: string): Judge {
  return (lines) => {
    const line = lines.find((one) => begins(one, [keyword]));
    if (line === undefined || fits(line.words[1], expected)) return metBy(line);
    const text = `${keyword} ${expected}`;
    return { kind: 'wrong', line, text, why: `It is ${line.words[1] ?? 'nothing'}.` };
  };
}

const UNITS_MS: Readonly<Record<string, number>> = {
  us: 0.001,
  ms: 1,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};

/** `timeout NAME`, longer than a time if one is given. */
export function timeout(name: string, printedMs: number, beyondMs = 0): Judge {
  return (lines) => {
    const line = lines.find((one) => begins(one, ['timeout', name]));
    const [, number, unit = 'ms'] = /^(\d+)(us|ms|s|m|h|d)?$/.exec(line?.words[2] ?? '') ?? [];
    const isShort = number !== undefined && Number(number) * (UNITS_MS[unit] ?? 1) <= beyondMs;
    if (line === undefined || !isShort) return metBy(line);
    return {
      kind: 'wrong',
      line,
      text: `timeout ${name} ${printedMs}ms`,
      why: `A request is held for up to ${beyondMs} ms, and answered after that.`,
    };
  };
}

/** The header is set, or added, whatever the request. `option` names one that does the same. */
export function header(name: string, option?: string): Judge {
  return (lines) => {
    const setters = lines.filter(
      ({ words: [rule, action, of] }) =>
        rule === 'http-request' && /^(set|add)-header$/.test(action ?? '') && of?.toLowerCase() === name,
    );
    const always = setters.find(({ words }) => !words.includes('if') && !words.includes('unless'));
    const both = setters.length > 1 ? setters[0] : undefined; // `… if { ssl_fc }` and `… unless { ssl_fc }`.
    const byOption = lines.find((line) => option !== undefined && begins(line, ['option', option]));
    return metBy(always ?? both ?? byOption);
  };
}
