import { type Static, Type } from '@sinclair/typebox';
import { TypeCompiler } from '@sinclair/typebox/compiler';
import { damaged } from './errors.ts';

/**
 * What the receiving end says while images arrive, one JSON object a line: how far it has read, and at the end
 * that all is in place or why not. The status line and the first bytes come before the images do.
 */
const AnswerLine = Type.Union([
  Type.Object({ receivedBytes: Type.Integer({ minimum: 0 }) }),
  Type.Object({ done: Type.Object({ imageBytes: Type.Integer({ minimum: 0 }) }) }),
  Type.Object({
    error: Type.Object({
      code: Type.String(),
      message: Type.String(),
      mend: Type.Optional(Type.String()),
      retryable: Type.Boolean(),
    }),
  }),
]);
export type AnswerLine = Static<typeof AnswerLine>;

const isAnswerLine = TypeCompiler.Compile(AnswerLine);
const LONGEST_LINE = 64 * 1024;

export function encodeAnswer(line: AnswerLine): string {
  return `${JSON.stringify(line)}\n`;
}

/** Takes text as it comes and gives each whole line to `onLine`. */
export class AnswerParser {
  readonly #onLine: (line: AnswerLine) => void;
  #rest = '';

  constructor(onLine: (line: AnswerLine) => void) {
    this.#onLine = onLine;
  }

  /** @throws HoldfastError `IMAGES_DAMAGED` for what is not an answer */
  push(text: string): void {
    const lines = (this.#rest + text).split('\n');
    this.#rest = lines.pop() ?? '';
    if (this.#rest.length > LONGEST_LINE) throw damaged('an answer without end');
    for (const line of lines) this.#onLine(parseLine(line));
  }
}

function parseLine(line: string): AnswerLine {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch (cause) {
    throw damaged('an answer that is not JSON', cause);
  }
  if (!isAnswerLine.Check(value)) throw damaged('an answer of no known kind');
  return value;
}
