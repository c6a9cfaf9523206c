import { createHash } from 'node:crypto';
import t from 'tap';
import type { AppState } from './app-state.ts';
import { check } from './check.ts';
import type { Exchange, VisitAnswer } from './exchange.ts';

type Answered = Extract<Exchange, { outcome: 'answered' }>;

/** A faultless story of `length` requests by three users in turn, as the app would have told it. */
function story(length: number, prefix = ''): { exchanges: Exchange[]; state: AppState } {
  let head = '0'.repeat(64);
  const exchanges = Array.from({ length }, (_, n): Exchange => {
    const id = `${prefix}r${n}`;
    const user = `u${n % 3}`;
    const prev = head;
    head = createHash('sha256').update(prev).update(id).digest('hex');
    const answer = { id, user, seq: n + 1, prev, hash: head, count: Math.floor(n / 3) + 1 };
    return { id, user, method: 'GET', intendedAtMs: n, doneAtMs: n + 1, outcome: 'answered', answer };
  });
  const state = {
    seq: length,
    head,
    users: 3,
    duplicates: 0,
    pid: 1,
    startedAt: '',
    memoryBytes: 0,
    inFlight: 1,
    peakInFlight: 1,
  };
  return { exchanges, state };
}

const at = (exchanges: Exchange[], index: number): Answered => {
  const one = exchanges[index];
  if (one?.outcome !== 'answered') throw new Error(`no answer at ${index}`);
  return one;
};

const change = (exchanges: Exchange[], index: number, by: Partial<VisitAnswer>) => {
  const one = at(exchanges, index);
  exchanges[index] = { ...one, answer: { ...one.answer, ...by } };
};

const fail = (exchanges: Exchange[], index: number) => {
  const { id, user, method, intendedAtMs, doneAtMs } = at(exchanges, index);
  exchanges[index] = { id, user, method, intendedAtMs, doneAtMs, outcome: 'failed', reason: 'ECONNRESET' };
};

t.test('a faultless run is called so, in whatever order the answers came', async (t) => {
  const { exchanges, state } = story(30);
  const verdict = check(exchanges.reverse(), state);
  t.match(verdict, { requests: 30, failed: 0, lost: 0, duplicated: 0, corrupted: 0, chain: 'unbroken' });
  t.same(verdict.faults, []);
});

t.test('requests that were answered and are no longer known are lost', async (t) => {
  const { exchanges } = story(30);
  const { state } = story(27);
  const verdict = check(exchanges, state);
  t.match(verdict, { lost: 3, duplicated: 0, chain: 'unbroken' });
  t.same([...verdict.lostIds].sort(), ['r27', 'r28', 'r29']);
});

t.test('when the app began anew, all it had known is lost', async (t) => {
  const old = story(20, 'old-');
  const { exchanges, state } = story(10);
  t.match(check([...old.exchanges, ...exchanges], state), { lost: 20, duplicated: 0, chain: 'unbroken' });
});

t.test('of two copies that served at once, the answers of the one that is gone are lost', async (t) => {
  const { exchanges, state } = story(10);
  const other = at(exchanges, 6);
  const answer = { ...other.answer, id: 'x', hash: createHash('sha256').update('x').digest('hex') };
  const verdict = check([...exchanges, { ...other, id: 'x', answer }], state);
  t.match(verdict, { lost: 1, chain: 'unbroken' });
  t.ok(verdict.lostIds.has('x'));
});

t.test('a request that was carried out twice shows, though it was answered once', async (t) => {
  const { exchanges, state } = story(30);
  const doubled = exchanges.filter((one) => one.id !== 'r11');
  t.match(check(doubled, state), { duplicated: 1, lost: 0 }, 'an entry that belongs to no request');
  t.match(check(exchanges, { ...state, duplicates: 1 }), { duplicated: 1 }, 'an id the app saw twice');
});

t.test('two requests that changed places break the chain', async (t) => {
  const { exchanges, state } = story(30);
  const [one, two] = [at(exchanges, 9).answer, at(exchanges, 12).answer];
  change(exchanges, 9, { seq: two.seq });
  change(exchanges, 12, { seq: one.seq });
  t.equal(check(exchanges, state).chain, 'broken');
});

t.test('a hash that does not follow from the one before breaks the chain', async (t) => {
  const { exchanges, state } = story(30);
  const forged = createHash('sha256').update('forged').digest('hex');
  change(exchanges, 14, { hash: forged });
  change(exchanges, 15, { prev: forged });
  t.equal(check(exchanges, state).chain, 'broken');
});

t.test('a chain that begins in the middle is broken', async (t) => {
  const { exchanges, state } = story(30);
  change(exchanges, 0, { prev: 'f'.repeat(64) });
  t.equal(check(exchanges, state).chain, 'broken');
});

t.test('a counter that does not step by one shows', async (t) => {
  const { exchanges, state } = story(30);
  change(exchanges, 29, { count: 12 });
  t.match(check(exchanges, state), { corrupted: 1, chain: 'unbroken' });
});

t.test("another request's answer and a wrong body digest show", async (t) => {
  const { exchanges, state } = story(30);
  change(exchanges, 3, { id: 'r4' });
  change(exchanges, 5, { digest: 'of a body never sent' });
  t.equal(check(exchanges, state).corrupted, 2);
});

t.test('a failed request may have been carried out or not: it is failed, and nothing else', async (t) => {
  const carriedOut = story(30);
  fail(carriedOut.exchanges, 12);
  t.match(check(carriedOut.exchanges, carriedOut.state), {
    failed: 1,
    lost: 0,
    duplicated: 0,
    corrupted: 0,
    chain: 'unbroken',
  });
  const refused = story(30);
  fail(refused.exchanges, 29);
  const { state } = story(29);
  t.match(check(refused.exchanges, state), { failed: 1, lost: 0, duplicated: 0, chain: 'unbroken' });
});
