import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { PageFlag, writePagemap } from '../../../migrator/criu/pagemap.ts';
import { AnswerPart } from '../../../migrator/memory/memory-frame.ts';
import { HASH_BYTES, hasHash, writeHash } from '../../../migrator/memory/page-hash.ts';
import { LazyMemory } from '../../../migrator/pager/lazy-memory.ts';
import { LinkUse } from '../../../migrator/pager/link-use.ts';
import type { Question } from '../../../migrator/pager/memory-link.ts';
import { PageStore } from '../../../migrator/pager/page-store.ts';
import { LazyPages } from '../../../migrator/pager/page-supply.ts';
import { PAGE_BYTES } from '../../../migrator/transfer/frame.ts';

const PID = 7;
const START = 0x10_0000_0000;
const at = (page: number) => START + page * PAGE_BYTES;
const contentOf = (page: number) => Buffer.alloc(PAGE_BYTES, `page ${page}. `);

/** A connection whose questions wait until a test has the source answer them. */
class ToySource {
  readonly questions: Question[] = [];
  readonly #take: (question: Question, parts: number[], raw: Buffer) => void;

  constructor(take: (question: Question, parts: number[], raw: Buffer) => void) {
    this.#take = take;
  }

  isOpen = true;

  ask(question: Question): void {
    this.questions.push(question);
  }

  async close(): Promise<void> {
    this.isOpen = false;
  }

  /** Answer the oldest question; pages whose hash is right are kept. */
  answer(): void {
    const question = this.questions.shift();
    if (!question) throw new Error('nothing was asked');
    const parts: number[] = [];
    const raw: Buffer[] = [];
    for (let index = 0; index < question.pages; index++) {
      const content = contentOf((question.address - START) / PAGE_BYTES + index);
      const kept = question.hashes && hasHash(content, question.hashes, index * HASH_BYTES);
      const sent = question.compareOnly ? AnswerPart.changed : AnswerPart.payload;
      parts.push(1, kept ? AnswerPart.kept : sent);
      if (!kept && !question.compareOnly) raw.push(content);
    }
    this.#take(question, parts, Buffer.concat(raw));
  }

  get asked(): number[] {
    return this.questions.map(({ address }) => (address - START) / PAGE_BYTES);
  }
}

async function supplyOf(t: Test, pages: number, sentAhead: readonly Buffer[] = []) {
  const dir = t.testdir({});
  const lazy = { address: START, pages, flags: PageFlag.lazy };
  writeFileSync(join(dir, `pagemap-${PID}.img`), writePagemap({ pagesId: 1, runs: [lazy] }));
  if (sentAhead.length > 0) {
    mkdirSync(join(dir, 'parent'));
    const runs = [{ address: START, pages: sentAhead.length, flags: PageFlag.present }];
    writeFileSync(join(dir, `parent/pagemap-${PID}.img`), writePagemap({ pagesId: 3, runs }));
    writeFileSync(join(dir, 'parent/pages-3.img'), Buffer.concat(sentAhead));
    const hashes = Buffer.alloc(sentAhead.length * HASH_BYTES);
    for (const [page, content] of sentAhead.entries()) writeHash(content, hashes, page * HASH_BYTES);
    writeFileSync(join(dir, 'parent/hashes-3.img'), hashes);
  }
  const store = await PageStore.open(dir);
  t.teardown(() => store.close());
  const source = (use: LinkUse) =>
    new ToySource(({ ...question }, parts, raw) => {
      const { pid, address, pages: count } = question;
      const answer = {
        pid,
        address,
        pages: count,
        parts,
        rawBytes: raw.length,
        encoding: 'identity',
        crc32: 0,
      };
      supply.take(question, answer, raw, use);
    });
  const urgent = source(LinkUse.urgent);
  const ahead = source(LinkUse.ahead);
  const comparing = source(LinkUse.comparing);
  const memory = await LazyMemory.read(dir);
  const clock = { ms: 0 };
  const now = () => clock.ms;
  const supply = new LazyPages({ memory, store, urgent, ahead, comparing, now });
  t.teardown(() => supply.end());
  return { supply, urgent, ahead, comparing, clock };
}

const request = (page: number, pages = 1) => ({ pid: PID, address: at(page), pages });
const settle = () => new Promise((resolve) => setImmediate(() => setImmediate(resolve)));

/** Until nothing more is asked for ahead. */
async function quiet(ahead: ToySource): Promise<void> {
  for (let before = -1; before !== ahead.questions.length; ) {
    before = ahead.questions.length;
    await settle();
  }
}

t.test('a page somebody waits for is asked for at once, and those after it behind it', async (t) => {
  const { supply, urgent } = await supplyOf(t, 100);
  supply.expect(request(40));
  const given = supply.pages(request(40));
  t.same(
    urgent.questions.map(({ address, pages }) => [(address - START) / PAGE_BYTES, pages]),
    [
      [40, 1],
      [41, 15],
    ],
  );
  urgent.answer();
  t.same(await given, [contentOf(40)]);
  urgent.answer();
  supply.expect(request(41));
  t.same(await supply.pages(request(41)), [contentOf(41)], 'the next one is here already');
  t.match(supply.figures, { waits: 1, remainingBytes: 98 * PAGE_BYTES, fromSourceBytes: 2 * PAGE_BYTES });
});

t.test('a range gets what is here of it, and does not wait for the rest', async (t) => {
  const { supply, ahead } = await supplyOf(t, 200);
  supply.begin();
  await quiet(ahead);
  t.same(ahead.asked, [0, 64, 128, 192], 'all is asked for ahead, in order');
  ahead.answer();
  supply.expect(request(10, 190));
  const given = Buffer.concat(await supply.pages(request(10, 190)));
  t.equal(given.length, 54 * PAGE_BYTES);
  t.ok(given.subarray(-PAGE_BYTES).equals(contentOf(63)));
});

t.test('a page that was sent ahead is given from the store, when it still holds', async (t) => {
  const sentAhead = [contentOf(0), contentOf(99), contentOf(2)];
  const { supply, urgent, ahead, comparing } = await supplyOf(t, 5, sentAhead);
  supply.begin();
  await quiet(ahead);
  t.same(ahead.asked, [3], 'what was not sent ahead is asked for');
  t.match(comparing.questions, [{ pages: 3, compareOnly: true }], 'the rest is compared');
  t.ok(comparing.isOpen);
  comparing.answer();
  t.notOk(comparing.isOpen, 'that connection is needed no more');
  await quiet(ahead);
  t.same(ahead.asked, [3, 1], 'and what differs is asked for then');
  while (ahead.questions.length > 0) ahead.answer();
  supply.expect(request(0));
  t.same(urgent.questions, [], 'no fault waits for the source');
  const given = Buffer.concat(await supply.pages(request(0, 5)));
  t.ok(given.equals(Buffer.concat([0, 1, 2, 3, 4].map(contentOf))));
  t.match(supply.figures, {
    fromStoreBytes: 2 * PAGE_BYTES,
    fromSourceBytes: 3 * PAGE_BYTES,
    remainingBytes: 0,
  });
});

t.test('a fault does not wait for its page to be compared in its turn', async (t) => {
  const { supply, urgent, comparing } = await supplyOf(t, 2, [contentOf(0), contentOf(1)]);
  supply.begin();
  supply.expect(request(1));
  const given = supply.pages(request(1));
  t.match(urgent.questions, [{ address: at(1), pages: 1, compareOnly: false }]);
  comparing.answer();
  t.same(await given, [contentOf(1)], 'whichever answer comes first will do');
  urgent.answer();
  t.match(supply.figures, { fromStoreBytes: PAGE_BYTES, fromSourceBytes: 0, remainingBytes: PAGE_BYTES });
});

t.test('of pages that changed here and there one question asks for a whole stretch', async (t) => {
  const stretch = Array.from({ length: 70 }, (_, page) =>
    contentOf([1, 9, 50, 69].includes(page) ? 1000 : page),
  );
  const { supply, ahead, comparing } = await supplyOf(t, 70, stretch);
  supply.begin();
  comparing.answer();
  await quiet(ahead);
  t.match(ahead.questions, [
    { address: at(1), pages: 50 },
    { address: at(69), pages: 1 },
  ]);
  ahead.answer();
  t.ok(
    Buffer.concat(await supply.pages(request(0, 60))).equals(
      Buffer.concat(stretch.slice(0, 60).map((_, page) => contentOf(page))),
    ),
  );
  t.equal(supply.figures.fromSourceBytes, 3 * PAGE_BYTES, 'and only those came');
});

t.test('a range is given in portions, so that a fault behind it is soon heard', async (t) => {
  const { supply, ahead } = await supplyOf(t, 200);
  supply.begin();
  await quiet(ahead);
  while (ahead.questions.length > 0) ahead.answer();
  t.equal(Buffer.concat(await supply.pages(request(0, 200))).length, 64 * PAGE_BYTES);
});

t.test('faults without end do not keep the other pages from coming', async (t) => {
  const { supply, urgent, ahead, clock } = await supplyOf(t, 300);
  const touch = (page: number) => {
    supply.expect(request(page));
    const given = supply.pages(request(page));
    while (urgent.questions.length > 0) urgent.answer();
    return given;
  };
  supply.begin();
  await touch(250);
  await quiet(ahead);
  t.match(
    ahead.questions,
    [{ address: at(0), pages: 16 }],
    'as much as for a fault, so that none waits long behind it',
  );
  ahead.answer();
  await touch(280);
  await quiet(ahead);
  t.match(ahead.questions, [{ address: at(16), pages: 16 }], 'and on it goes');
  supply.expect(request(40, 200));
  t.match(urgent.questions, [{ address: at(40), pages: 16 }], 'the daemon is given no more at a time');
  clock.ms += 21;
  ahead.answer();
  await quiet(ahead);
  t.match(ahead.questions[0], { pages: 64 }, 'when no fault has come for a while, as much as the link takes');
});

t.test('a page that was given is asked for again, when a child of its process wants it', async (t) => {
  const { supply, urgent } = await supplyOf(t, 1);
  for (const _ of ['the parent', 'the child']) {
    supply.expect(request(0));
    const given = supply.pages(request(0));
    urgent.answer();
    t.same(await given, [contentOf(0)]);
  }
  t.equal(supply.figures.remainingBytes, 0);
});

t.test('what nobody takes is bounded, and gives way to what is wanted', async (t) => {
  const pages = 40_000;
  const { supply, urgent, ahead } = await supplyOf(t, pages);
  supply.begin();
  let came = 0;
  for (await quiet(ahead); ahead.questions.length > 0; await quiet(ahead)) {
    while (ahead.questions.length > 0) {
      came += ahead.questions[0]?.pages ?? 0;
      ahead.answer();
    }
  }
  t.equal(came, 16_384, '64 MiB and no more are fetched ahead');
  // The app gave up the memory that was fetched: the daemon goes on where nothing is.
  supply.expect(request(20_000, 64));
  const given = supply.pages(request(20_000, 64));
  await quiet(ahead);
  t.ok(ahead.questions.length > 0, 'there is room again');
  t.ok(
    ahead.asked.every((page) => page > 20_000),
    'and it goes on from there',
  );
  urgent.answer();
  t.equal(Buffer.concat(await given).length, 64 * PAGE_BYTES);
  supply.expect(request(3));
  const late = supply.pages(request(3));
  while (urgent.questions.length > 0) urgent.answer();
  t.same(await late, [contentOf(3)], 'what was thrown away is fetched again when it is wanted');
});

t.test('what was not left at the source cannot be had', async (t) => {
  const { supply } = await supplyOf(t, 1);
  supply.expect(request(1));
  await t.rejects(supply.pages(request(1)), { code: 'PAGE_REQUEST_INVALID' });
});
