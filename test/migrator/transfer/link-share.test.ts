import { setImmediate as turn } from 'node:timers/promises';
import t from 'tap';
import type { LinkFlow } from '../../../migrator/transfer/link-flow.ts';
import { type Clock, LinkShare } from '../../../migrator/transfer/link-share.ts';
import { Traffic } from '../../../migrator/transfer/traffic.ts';

const SLICE = 64 * 1024;
const MBIT = 1_000_000;

/** Time that goes by when it is told to; whoever waits for it has come to rest by then. */
class HandClock implements Clock {
  #now = 1_000;
  readonly #timers = new Set<{ readonly at: number; readonly then: () => void }>();

  now = () => this.#now;

  after(ms: number, then: () => void): () => void {
    const timer = { at: this.#now + ms, then };
    this.#timers.add(timer);
    return () => this.#timers.delete(timer);
  }

  async pass(ms: number): Promise<void> {
    const end = this.#now + ms;
    await turn();
    for (;;) {
      const [next] = [...this.#timers].sort((a, b) => a.at - b.at);
      if (next === undefined || next.at > end) break;
      this.#now = Math.max(this.#now, next.at);
      this.#timers.delete(next);
      next.then();
      await turn();
    }
    this.#now = end;
    await turn();
  }
}

/** A kernel that takes `rateBpms` bytes a millisecond of all that is written, one write after the other. */
function kernel(clock: HandClock, rateBpms: number) {
  let freeAt = 0;
  return (parts: readonly Uint8Array[]) =>
    new Promise<void>((resolve) => {
      const sizeBytes = parts.reduce((sum, part) => sum + part.length, 0);
      freeAt = Math.max(freeAt, clock.now()) + sizeBytes / rateBpms;
      clock.after(freeAt - clock.now(), resolve);
    });
}

/** Sends without an end, and counts what was handed over. */
function pump(
  flow: LinkFlow,
  traffic: Traffic,
  write: (parts: readonly Uint8Array[]) => Promise<void>,
  signal: AbortSignal,
) {
  const chunk = new Uint8Array(8 * SLICE);
  const pumped = { bytes: 0 };
  const handOver = (parts: readonly Uint8Array[]) => {
    for (const { length } of parts) pumped.bytes += length;
    return write(parts);
  };
  void (async () => {
    for (;;) await flow.send(traffic, [chunk], handOver, signal);
  })().catch(() => {});
  return pumped;
}

function scene(options: { limitRateBps?: number } = {}) {
  const clock = new HandClock();
  const share = new LinkShare({ ...options, clock });
  const stop = new AbortController();
  return { clock, share, stop, signal: stop.signal };
}

const atOnce = async () => {};

t.test('who is alone and without a limit hands over all at once, and waits for nobody', async (t) => {
  const { share, signal } = scene();
  const writes: number[] = [];
  const parts = [new Uint8Array(100), new Uint8Array(500_000), new Uint8Array(0), new Uint8Array(7)];
  await share
    .flow('b')
    .send(
      Traffic.memory,
      parts,
      async (slice) => void writes.push(slice.reduce((sum, { length }) => sum + length, 0)),
      signal,
    );
  t.same(writes, [500_107]);
});

t.test('slices put together are what was to be sent', async (t) => {
  const { clock, share, signal } = scene({ limitRateBps: 8 * MBIT });
  const whole = Uint8Array.from({ length: 200_003 }, (_, at) => (at * 7) % 251);
  const came: Uint8Array[] = [];
  const parts = [whole.subarray(0, 5), whole.subarray(5, 150_000), whole.subarray(150_000)];
  let isOver = false;
  const sent = share
    .flow('b')
    .send(Traffic.files, parts, async (slice) => void came.push(...slice), signal)
    .then(() => {
      isOver = true;
    });
  await clock.pass(100);
  t.notOk(isOver);
  await clock.pass(200);
  await sent;
  t.ok(Buffer.concat(came).equals(whole));
});

t.test('a limit holds: of one migration, of the host, and of both the smaller', async (t) => {
  for (const [host, migration, expected] of [
    [undefined, 200, 200],
    [200, undefined, 200],
    [400, 200, 200],
    [200, 400, 200],
  ] as const) {
    const { clock, share, stop, signal } = scene(host ? { limitRateBps: host * MBIT } : {});
    const sent = pump(share.flow('b', migration && migration * MBIT), Traffic.files, atOnce, signal);
    await clock.pass(4_000);
    const rateMbit = (sent.bytes * 8) / 4_000 / 1_000;
    t.ok(Math.abs(rateMbit / expected - 1) < 0.02, `${rateMbit.toFixed(1)} of ${expected} Mbit/s`);
    stop.abort();
  }
});

t.test('a host’s limit is that of all its migrations, wherever they go, and they share alike', async (t) => {
  const { clock, share, stop, signal } = scene({ limitRateBps: 400 * MBIT });
  const one = pump(share.flow('b'), Traffic.memory, atOnce, signal);
  const other = share.flow('c');
  const others = [1, 2, 3].map(() => pump(other, Traffic.memory, atOnce, signal));
  await clock.pass(2_000);
  const otherBytes = others.reduce((sum, { bytes }) => sum + bytes, 0);
  t.ok(Math.abs((one.bytes + otherBytes) / 100_000_000 - 1) < 0.03, 'together as much as the limit');
  t.ok(Math.abs(one.bytes / otherBytes - 1) < 0.05, `${one.bytes} and ${otherBytes}`);
  stop.abort();
});

t.test('more urgent traffic has the link, what is less urgent a small share of it', async (t) => {
  for (const limitRateBps of [undefined, 100 * MBIT]) {
    const { clock, share, stop, signal } = scene(limitRateBps ? { limitRateBps } : {});
    const write = limitRateBps ? atOnce : kernel(clock, 12_500);
    const memory = pump(share.flow('b'), Traffic.memory, write, signal);
    const files = pump(share.flow('b'), Traffic.files, write, signal);
    await clock.pass(10_000);
    const ratio = files.bytes / memory.bytes;
    t.ok(
      ratio > 0.04 && ratio < 0.1,
      `${ratio.toFixed(3)} of it ${limitRateBps ? 'with' : 'without'} a limit`,
    );
    const bytes = memory.bytes + files.bytes;
    t.ok(bytes > 0.97 * 125_000_000, 'and the link is full');
    stop.abort();
  }
});

t.test('beside what an app that is frozen has left next to nothing else is sent', async (t) => {
  for (const limitRateBps of [undefined, 100 * MBIT]) {
    const { clock, share, stop, signal } = scene(limitRateBps ? { limitRateBps } : {});
    const write = limitRateBps ? atOnce : kernel(clock, 12_500);
    const files = pump(share.flow('b'), Traffic.files, write, signal);
    await clock.pass(100);
    const before = files.bytes;
    let took = Number.NaN;
    const beganAt = clock.now();
    share
      .flow('b')
      .send(Traffic.difference, [new Uint8Array(5_000_000)], write, signal)
      .then(() => {
        took = clock.now() - beganAt;
      });
    await clock.pass(350);
    const meanwhile = files.bytes - before;
    t.ok(meanwhile <= 5_000_000 / 16 + 2 * SLICE, `${meanwhile} bytes of files meanwhile`);
    await clock.pass(300);
    t.ok(took < 460, `${took} ms for what takes 400`);
    t.ok(files.bytes - before > 1_000_000, 'and then the files go on');
    stop.abort();
  }
});

t.test('a fault waits for no more than the slice that is under way', async (t) => {
  const { clock, share, stop, signal } = scene({ limitRateBps: 100 * MBIT });
  const flow = share.flow('b');
  pump(flow, Traffic.difference, atOnce, signal);
  await clock.pass(500);
  for (let times = 0; times < 5; times++) {
    const askedAt = clock.now();
    let answeredAt = Number.NaN;
    flow.send(Traffic.faults, [new Uint8Array(4096)], atOnce, signal).then(() => {
      answeredAt = clock.now();
    });
    await clock.pass(20);
    t.ok(answeredAt - askedAt <= 6, `${(answeredAt - askedAt).toFixed(1)} ms`);
  }
  stop.abort();
});

t.test('without a limit, who cannot fill the link leaves the rest to others', async (t) => {
  const { clock, share, stop, signal } = scene();
  const write = kernel(clock, 125_000);
  const reader = share.flow('b');
  void (async () => {
    for (;;) {
      await new Promise<void>((resolve) => clock.after(10, resolve)); // To read what it sends next.
      await reader.send(Traffic.memory, [new Uint8Array(SLICE)], write, signal);
    }
  })().catch(() => {});
  const files = pump(share.flow('b'), Traffic.files, write, signal);
  await clock.pass(2_000);
  t.ok(files.bytes > 0.7 * 2_000 * 125_000, `${files.bytes} bytes of files beside it`);
  stop.abort();
});

t.test('without a limit, more streams of one migration are no greater share', async (t) => {
  const { clock, share, stop, signal } = scene();
  const write = kernel(clock, 12_500);
  const one = pump(share.flow('b'), Traffic.files, write, signal);
  const other = share.flow('b');
  const others = [1, 2, 3].map(() => pump(other, Traffic.files, write, signal));
  await clock.pass(4_000);
  const ratio = one.bytes / others.reduce((sum, { bytes }) => sum + bytes, 0);
  t.ok(ratio > 0.85 && ratio < 1.15, ratio.toFixed(2));
  stop.abort();
});

t.test(
  'one that waits for its own limit, or that the other end holds up, keeps nobody waiting',
  async (t) => {
    const { clock, share, stop, signal } = scene();
    const write = kernel(clock, 125_000);
    pump(share.flow('b', 8 * MBIT), Traffic.memory, write, signal);
    const files = pump(share.flow('b'), Traffic.files, write, signal);
    await clock.pass(1_000);
    t.ok(files.bytes > 0.7 * 125_000_000, `${files.bytes} bytes beside 1,000,000`);
    pump(share.flow('b'), Traffic.memory, () => new Promise(() => {}), signal);
    await clock.pass(300);
    const before = files.bytes;
    await clock.pass(1_000);
    t.ok(files.bytes - before > 0.7 * 125_000_000, 'and beside one that is taken nothing of');
    stop.abort();
  },
);

t.test('who gives up leaves the queue, and those behind it go on', async (t) => {
  const { clock, share, stop, signal } = scene({ limitRateBps: 8 * MBIT });
  const flow = share.flow('b');
  await flow.send(Traffic.files, [new Uint8Array(SLICE / 4)], atOnce, signal);
  await flow.send(Traffic.files, [new Uint8Array(SLICE / 4)], atOnce, signal);
  const gone = new AbortController();
  let written = 0;
  const write = async () => void written++;
  const first = flow.send(Traffic.memory, [new Uint8Array(10)], write, gone.signal);
  const second = flow.send(Traffic.files, [new Uint8Array(10)], write, signal);
  gone.abort(new Error('called off'));
  await t.rejects(first, { message: 'called off' });
  t.equal(written, 0);
  await clock.pass(40);
  await second;
  t.equal(written, 1);
  await t.rejects(flow.send(Traffic.memory, [new Uint8Array(10)], write, gone.signal), {
    message: 'called off',
  });
  stop.abort();
});

t.test('a write that fails gives its turn back', async (t) => {
  const { clock, share, signal } = scene();
  const flow = share.flow('b');
  const fail = async () => {
    throw new Error('broken');
  };
  await t.rejects(flow.send(Traffic.difference, [new Uint8Array(10)], fail, signal), { message: 'broken' });
  let isOver = false;
  share
    .flow('b')
    .send(Traffic.layers, [new Uint8Array(10)], atOnce, signal)
    .then(() => {
      isOver = true;
    });
  await clock.pass(2);
  t.ok(isOver);
});
