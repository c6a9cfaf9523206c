import { type FileHandle, open, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import t, { type Test } from 'tap';
import { BLOCK_BYTES, BLOCK_PAGES, PageState } from '../../../migrator/memory/block.ts';
import { HASH_WORDS, hashOf } from '../../../migrator/memory/page-hash.ts';
import {
  type PageReaders,
  type ReadRequest,
  TASKS_PER_THREAD,
} from '../../../migrator/memory/page-readers.ts';
import { PAGE_BYTES } from '../../../migrator/transfer/frame.ts';
import { page } from './checkpoint.ts';
import { testReaders } from './readers.ts';

const soon = () => AbortSignal.timeout(20_000);

/** A file stands for the memory of a process: reading from it is the same to a reader. */
async function memoryOf(t: Test, numbers: readonly number[]): Promise<FileHandle> {
  const file = path.join(t.testdir(), 'memory');
  await writeFile(file, Buffer.concat(numbers.map(page)));
  const memory = await open(file);
  t.teardown(() => memory.close());
  return memory;
}

interface Seen {
  readonly address: number;
  readonly states: number[];
  readonly bytes: Buffer;
  readonly hashes: Uint32Array;
}

async function readAll(
  readers: PageReaders,
  requests: readonly ReadRequest[],
  signal = soon(),
): Promise<Seen[]> {
  const seen: Seen[] = [];
  for await (const { request, slot } of readers.read(each(requests), signal)) {
    const states = [...slot.states];
    const changed = states.filter((state) => state === PageState.changed).length;
    const bytes = Buffer.from(slot.bytes.subarray(0, changed * PAGE_BYTES));
    seen.push({ address: request.address, states, bytes, hashes: Uint32Array.from(slot.hashes) });
  }
  return seen;
}

async function* each<T>(all: Iterable<T>): AsyncGenerator<T> {
  yield* all;
}

t.test('only pages that are not as they are known come, with their hashes', async (t) => {
  const { fd: memory } = await memoryOf(t, [1, 2, 3, 4, 5, 6]);
  const known = new Uint32Array(new SharedArrayBuffer(BLOCK_PAGES * HASH_WORDS * 4));
  for (const [at, number] of [1, 9, 3, 4].entries()) known.set(hashOf(page(number)), at * HASH_WORDS);
  const runs = [0, 3, 4, 2];
  const [seen] = await readAll(testReaders(t), [
    { memory, address: 0, runs, known: known.buffer, hashed: true },
  ]);
  const { unread, same, changed } = PageState;
  t.same(seen?.states.slice(0, 7), [same, changed, same, unread, changed, changed, unread]);
  t.ok(seen?.bytes.equals(Buffer.concat([2, 5, 6].map(page))));
  for (const at of [1, 4, 5]) {
    t.same(seen?.hashes.subarray(at * HASH_WORDS, (at + 1) * HASH_WORDS), hashOf(page(at + 1)));
  }
});

t.test('pages that nothing is to be known of come without hashes, and zeros are but said', async (t) => {
  const { fd: memory } = await memoryOf(t, [1, 0, 2, 0, 3]);
  const asked = { memory, address: 0, runs: [0, 2, 2, 3], known: undefined, hashed: false };
  const [seen] = await readAll(testReaders(t), [asked]);
  const { unread, changed, zero } = PageState;
  t.same(seen?.states.slice(0, 6), [changed, zero, changed, zero, changed, unread]);
  t.ok(seen?.bytes.equals(Buffer.concat([1, 2, 3].map(page))));
});

t.test('what is no longer there stays unread', async (t) => {
  const { fd: memory } = await memoryOf(t, [1, 2, 3]);
  const [seen] = await readAll(testReaders(t), [
    { memory, address: 0, runs: [0, 200], known: undefined, hashed: true },
  ]);
  t.same(seen?.states.slice(0, 5), [2, 2, 2, 0, 0]);
});

t.test('blocks come in the order they were asked for, whichever thread reads them', async (t) => {
  const { fd: memory } = await memoryOf(
    t,
    Array.from({ length: 40 * BLOCK_PAGES }, (_, n) => n % 100),
  );
  const requests = Array.from({ length: 40 }, (_, n) => {
    // Every other one is over at once.
    return {
      memory,
      address: n * BLOCK_BYTES,
      runs: [0, n % 2 ? 1 : BLOCK_PAGES],
      known: undefined,
      hashed: true,
    };
  });
  const seen = await readAll(testReaders(t, 3), requests);
  t.same(
    seen.map(({ address }) => address),
    requests.map(({ address }) => address),
  );
  t.ok(
    seen.every(({ address, bytes }) =>
      bytes.subarray(0, PAGE_BYTES).equals(page((address / PAGE_BYTES) % 100)),
    ),
  );
});

t.test('no more is read ahead than the threads have to do', async (t) => {
  const { fd: memory } = await memoryOf(t, [1]);
  let asked = 0;
  const endless = async function* () {
    for (;;) {
      asked++;
      yield { memory, address: 0, runs: [0, 1], known: undefined, hashed: true };
    }
  };
  let given = 0;
  for await (const _ of testReaders(t, 2).read(endless(), soon())) {
    given++;
    t.ok(asked - given < 2 * TASKS_PER_THREAD, `${asked} asked for, ${given} given`);
    if (given === 20) break;
  }
});

t.test('a thread that crashes is an error, not a hang, and so is whatever is asked afterwards', async (t) => {
  const { fd: memory } = await memoryOf(t, [1]);
  const readers = testReaders(t);
  const fine = { memory, address: 0, runs: [0, 1], known: undefined, hashed: true };
  const harmful = { ...fine, known: new SharedArrayBuffer(3) };
  await t.rejects(readAll(readers, [fine, harmful]), { code: 'MEMORY_READER_FAILED', retryable: true });
  await t.rejects(readAll(readers, [{ ...fine, memory: -1 }]), { code: 'MEMORY_READER_FAILED' });
  await readers.close();
  await t.rejects(readAll(readers, [fine]), { code: 'INTERRUPTED' });
});

t.test('it ends with its signal', async (t) => {
  const { fd: memory } = await memoryOf(t, [1]);
  const request = { memory, address: 0, runs: [0, 1], known: undefined, hashed: true };
  const signal = AbortSignal.abort(new Error('called off'));
  await t.rejects(readAll(testReaders(t), [request], signal), { message: 'called off' });
});

t.test('closed in the middle, what is under way fails, and no thread is left', async (t) => {
  const { fd: memory } = await memoryOf(t, [1]);
  const readers = testReaders(t);
  const threads = async () => (await readFile('/proc/self/status', 'utf8')).match(/^Threads:\s*(\d+)/m)?.[1];
  const before = Number(await threads());
  const requests = Array.from({ length: 100 }, () => ({
    memory,
    address: 0,
    runs: [0, 1],
    known: undefined,
    hashed: true,
  }));
  const read = readers.read(each(requests), soon());
  await read.next();
  t.ok(Number(await threads()) >= before + 2);
  const closed = readers.close();
  await t.rejects(
    async () => {
      while (!(await read.next()).done);
    },
    { code: 'INTERRUPTED' },
  );
  await closed;
  t.equal(Number(await threads()), before);
});
