import { AnswerPart } from '../memory/memory-frame.ts';

/** What is known of a page here. */
export const Page = {
  /** The store has one, and whether that still holds is not known: it will be compared, in its turn. */
  unknown: 0,
  /** It was asked for. */
  asked: 1,
  /** It has come, and waits to be given to its process. */
  held: 2,
  zero: 3,
  /** The store has it, by the source's word. */
  stored: 4,
  /** It was given, or thrown away for want of room: asked for again when it is wanted again, as by a forked child. */
  gone: 5,
  /** The store has none, or not the right one: it will be asked for ahead, in its turn. */
  wanted: 6,
} as const;

/** Nobody has asked for these; among these, those that need not be asked for may be as well. */
export const UNASKED: ReadonlySet<number> = new Set([Page.unknown, Page.gone, Page.wanted]);
export const ASKABLE: ReadonlySet<number> = new Set([Page.unknown, Page.wanted, Page.stored]);

/** By what the source answered, see `AnswerPart`. */
export function stateOf(part: number | undefined): number {
  if (part === AnswerPart.kept) return Page.stored;
  if (part === AnswerPart.changed) return Page.wanted;
  return part === AnswerPart.zeros ? Page.zero : Page.held;
}
