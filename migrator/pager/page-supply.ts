import type { PageRequest, PageSupply } from '../criu/page-server.ts';
import { type Answer, AnswerPart } from '../memory/memory-frame.ts';
import { CHUNK_BYTES, PAGE_BYTES } from '../transfer/frame.ts';
import { notLazy } from './errors.ts';
import { FlowWindow } from './flow-window.ts';
import { HeldPages } from './held-pages.ts';
import type { LazyMemory } from './lazy-memory.ts';
import { LinkUse } from './link-use.ts';
import type { MemoryLink, Question } from './memory-link.ts';
import { ASKABLE, Page, stateOf, UNASKED } from './page-state.ts';
import type { PageStore } from './page-store.ts';
import { type PageRange, storedRanges, toCompare } from './to-compare.ts';

/** What is asked for at a time ahead: on a slow link the first page of an answer waits for its last. */
const AHEAD_PAGES = 64;
/** What a process that met a missing page will probably want next. */
const NEXT_PAGES = 15;
/** Little is asked ahead until no fault came for this long: on a slow link each would wait for what was asked before it … */
const QUIET_MS = 20;
/** … as much as a fault itself asks for. Were it nothing, an app that touches memory all the while would wait for every page. */
const BETWEEN_FAULTS_PAGES = 1 + NEXT_PAGES;
/** What the daemon is given at a time, whatever it asks for: a fault waits until it has dealt with that. */
const MOST_GIVEN_PAGES = 64;
/** Questions what of the store still holds, under way at a time: the source is never without one. */
const COMPARED_AT_ONCE = 2;
/** Memory for pages that nobody has taken yet, those on their way included. */
const MOST_HELD_BYTES = 64 * 1024 * 1024;

const zeros = Buffer.alloc(CHUNK_BYTES);

export interface SupplyFigures {
  remainingBytes: number;
  fromStoreBytes: number;
  fromSourceBytes: number;
  waits: number;
  longestWaitMs: number;
}

export interface SupplyOptions extends Readonly<Record<LinkUse, Pick<MemoryLink, 'ask' | 'close'>>> {
  readonly memory: LazyMemory;
  readonly store: PageStore;
  /** The time, in milliseconds. */
  readonly now?: () => number;
}

/**
 * The pages of a checkpoint whose memory stayed at its source, for `criu lazy-pages`, which asks for a missing page when
 * a process has met one, and else for one range after the other, each when the one before it has come. So that it need
 * not wait for the link each time, the source is asked ahead of it: which pages of the store still hold, all memory of a
 * container in a moment; and for the others, in the order the daemon will come to them.
 */
export class LazyPages implements PageSupply {
  readonly #options: SupplyOptions;
  readonly #now: () => number;
  readonly #states: Uint8Array;
  readonly #given: Uint8Array;
  readonly #held = new HeldPages();
  /** Pages asked for as urgent. */
  readonly #urgent = new Set<number>();
  readonly #window = new FlowWindow(MOST_HELD_BYTES / PAGE_BYTES);
  #aheadPages = 0;
  /** Where to look for the next page to be asked for ahead. */
  #next = 0;
  /** What is still to be compared. */
  readonly #unknown: Iterator<PageRange>;
  /** Questions what of it holds, under way. */
  #comparing = 0;
  #pumping = false;
  #lastFaultAt = Number.NEGATIVE_INFINITY;
  #ended = false;
  #awaited: { readonly page: number; readonly resolve: () => void } | undefined;
  readonly figures: SupplyFigures;

  constructor(options: SupplyOptions) {
    this.#options = options;
    this.#now = options.now ?? (() => performance.now());
    this.#states = new Uint8Array(options.memory.pages);
    this.#given = new Uint8Array(options.memory.pages);
    this.#states.fill(Page.wanted);
    const stored = storedRanges(options.memory, options.store);
    for (const { first, pages } of stored) this.#states.fill(Page.unknown, first, first + pages);
    this.#unknown = toCompare(stored);
    this.figures = {
      remainingBytes: options.memory.pages * PAGE_BYTES,
      fromStoreBytes: 0,
      fromSourceBytes: 0,
      waits: 0,
      longestWaitMs: 0,
    };
  }

  /** Begin to ask ahead. */
  begin(): void {
    this.#compare();
    this.#pump();
  }

  end(): void {
    this.#ended = true;
  }

  expect({ pid, address, pages }: PageRequest): void {
    const page = this.#options.memory.find(pid, address);
    if (page === undefined) return; // Told when its turn comes.
    if (pages === 1) {
      this.#lastFaultAt = this.#now();
      if (!this.#isHere(page) && !this.#urgent.has(page)) this.#askFor(LinkUse.urgent, page, 1);
      this.#askUrgently(page + 1, NEXT_PAGES);
    } else {
      if (!this.#isHere(page)) this.#makeRoom();
      // Its answer has to come before that to the next fault.
      this.#askUrgently(page, Math.min(pages, this.#atOnce));
      this.#next = page;
    }
    this.#pump();
  }

  async pages({ pid, address, pages }: PageRequest): Promise<readonly Uint8Array[]> {
    const { memory } = this.#options;
    const first = memory.find(pid, address);
    if (first === undefined) throw notLazy(pid, address);
    if (!this.#isHere(first)) await this.#arrival(first);
    const run = memory.runOf(first);
    const most = Math.min(pages, MOST_GIVEN_PAGES);
    const given = this.#give(first, Math.min(first + most, run.first + run.pages));
    this.#pump(); // There may be room now.
    return given;
  }

  /** The source has answered. */
  take(question: Question, answer: Answer, raw: Uint8Array, use: LinkUse): void {
    if (use === LinkUse.comparing) {
      this.#comparing--;
      this.#compare();
    }
    if (use === LinkUse.ahead) {
      this.#aheadPages -= question.pages;
      this.#window.answered(question.pages, performance.now() - question.askedAt);
    }
    let page = this.#options.memory.find(question.pid, question.address) ?? 0;
    let offset = 0;
    const came: { page: number; offset: number }[] = [];
    for (let at = 0; at < answer.parts.length; at += 2) {
      const from = answer.parts[at + 1];
      for (let count = answer.parts[at] ?? 0; count > 0; count--, page++) {
        if (use === LinkUse.urgent) this.#urgent.delete(page);
        const state = this.#states[page];
        const isNews = state === Page.unknown || (state === Page.asked && from !== AnswerPart.changed);
        if (isNews && from === AnswerPart.payload) came.push({ page, offset });
        if (from === AnswerPart.payload) offset += PAGE_BYTES;
        if (isNews) this.#states[page] = stateOf(from);
      }
    }
    this.#held.add(raw, came);
    if (this.#awaited && this.#isHere(this.#awaited.page)) this.#awaited.resolve();
    this.#pump();
  }

  async #arrival(page: number): Promise<void> {
    const since = performance.now();
    // Asked for when it was expected; but it may have been given since, to a process that shares it by a fork.
    this.#askUrgently(page, 1);
    await new Promise<void>((resolve) => {
      this.#awaited = { page, resolve };
    });
    this.#awaited = undefined;
    this.figures.waits++;
    this.figures.longestWaitMs = Math.max(this.figures.longestWaitMs, performance.now() - since);
  }

  /** The pages from `first` on that are here, `end` not included. */
  #give(first: number, end: number): Uint8Array[] {
    const { memory, store } = this.#options;
    const parts: Uint8Array[] = [];
    for (let page = first; page < end && this.#isHere(page); ) {
      const state = this.#states[page];
      let part: Uint8Array;
      if (state === Page.held) {
        part = this.#held.take(page, end - page);
        this.#states.fill(Page.gone, page, page + part.length / PAGE_BYTES);
        this.figures.fromSourceBytes += part.length;
      } else if (state === Page.zero) {
        part = zeros.subarray(0, Math.min(this.#alike(page, end) * PAGE_BYTES, zeros.length));
      } else {
        const { pid, address, first: start } = memory.runOf(page);
        const at = address + (page - start) * PAGE_BYTES;
        part = store.read(pid, at, Math.min(this.#alike(page, end), store.reach(pid, at)));
        this.figures.fromStoreBytes += part.length;
      }
      parts.push(part);
      const count = part.length / PAGE_BYTES;
      for (const last = page + count; page < last; page++) {
        if (this.#given[page] === 0) this.figures.remainingBytes -= PAGE_BYTES;
        this.#given[page] = 1;
      }
    }
    return parts;
  }

  /** How many pages from this one on are in the same state. */
  #alike(page: number, end: number): number {
    let last = page + 1;
    while (last < end && this.#states[last] === this.#states[page]) last++;
    return last - page;
  }

  #isHere(page: number): boolean {
    const state = this.#states[page];
    return state === Page.held || state === Page.zero || state === Page.stored;
  }

  /** Ask for a page and those after it that nobody has asked for, of the same run. */
  #askUrgently(first: number, most: number): void {
    if (first >= this.#states.length) return;
    const run = this.#options.memory.runOf(first);
    const end = Math.min(first + most, run.first + run.pages);
    let last = first;
    while (last < end && UNASKED.has(this.#states[last] ?? Page.asked)) last++;
    if (last > first) this.#askFor(LinkUse.urgent, first, last - first);
  }

  #askFor(use: typeof LinkUse.urgent | typeof LinkUse.ahead, first: number, pages: number): void {
    for (let page = first; page < first + pages; page++) {
      if (!this.#isHere(page)) this.#states[page] = Page.asked;
      if (use === LinkUse.urgent) this.#urgent.add(page);
    }
    if (use === LinkUse.ahead) this.#aheadPages += pages;
    this.#ask(use, first, pages);
  }

  #compare(): void {
    while (this.#comparing < COMPARED_AT_ONCE) {
      const next = this.#unknown.next();
      if (next.done) break;
      this.#ask(LinkUse.comparing, next.value.first, next.value.pages);
      this.#comparing++;
    }
    // Nothing more will be compared: a connection that nobody uses would break unnoticed.
    if (this.#comparing === 0) void this.#options.comparing.close();
  }

  #ask(use: LinkUse, first: number, pages: number): void {
    const { memory, store } = this.#options;
    const { pid, address: start, first: firstOfRun } = memory.runOf(first);
    const address = start + (first - firstOfRun) * PAGE_BYTES;
    const hashes = store.hashes(pid, address, pages);
    const compareOnly = use === LinkUse.comparing;
    this.#options[use].ask({ pid, address, pages, hashes, compareOnly, askedAt: performance.now() });
  }

  /** One question at a time, so that whoever waits for a page is heard in between. */
  #pump(): void {
    if (this.#pumping) return;
    this.#pumping = true;
    setImmediate(() => {
      this.#pumping = false;
      if (!this.#ended && this.#askAhead()) this.#pump();
    });
  }

  get #isQuiet(): boolean {
    return this.#now() - this.#lastFaultAt > QUIET_MS;
  }

  /** How much is asked for at a time, besides what somebody waits for. */
  get #atOnce(): number {
    return this.#isQuiet ? AHEAD_PAGES : BETWEEN_FAULTS_PAGES;
  }

  /** @returns whether another question may follow */
  #askAhead(): boolean {
    const atOnce = this.#atOnce;
    const mostPages = this.#isQuiet ? this.#window.pages : BETWEEN_FAULTS_PAGES;
    if (this.#aheadPages >= mostPages) return false;
    const comingBytes = (this.#aheadPages + atOnce) * PAGE_BYTES;
    if (this.#held.sizeBytes + comingBytes > MOST_HELD_BYTES) return false;
    let first = this.#states.indexOf(Page.wanted, this.#next);
    if (first < 0) first = this.#states.indexOf(Page.wanted);
    if (first < 0) return false;
    const run = this.#options.memory.runOf(first);
    const end = Math.min(first + atOnce, run.first + run.pages);
    // Pages that changed lie scattered among those that did not: one question for all of a stretch.
    let last = first;
    for (let page = first; page < end && ASKABLE.has(this.#states[page] ?? Page.asked); page++) {
      if (this.#states[page] === Page.wanted) last = page;
    }
    this.#askFor(LinkUse.ahead, first, last - first + 1);
    this.#next = last + 1;
    return true;
  }

  /**
   * The daemon has come to a page that is not here while all room is taken by others: by pages it passed over, because
   * the app gave up that memory. What is thrown away and wanted after all is asked for again.
   */
  #makeRoom(): void {
    if (this.#held.sizeBytes + AHEAD_PAGES * PAGE_BYTES <= MOST_HELD_BYTES) return;
    for (const page of this.#held.shrinkTo(MOST_HELD_BYTES / 2)) this.#states[page] = Page.gone;
  }
}
