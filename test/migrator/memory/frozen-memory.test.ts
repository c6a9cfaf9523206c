import { once } from 'node:events';
import { open, readFile } from 'node:fs/promises';
import { createServer, request as httpRequest, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import t, { type Test } from 'tap';
import { answerMemory } from '../../../migrator/memory/frozen-memory.ts';
import { innerPid } from '../../../migrator/memory/layout.ts';
import { AnswerPart, encodeAsk, readReply } from '../../../migrator/memory/memory-frame.ts';
import { HASH_BYTES, writeHash } from '../../../migrator/memory/page-hash.ts';
import { ByteReader } from '../../../migrator/transfer/byte-reader.ts';
import { codecOf } from '../../../migrator/transfer/codec.ts';
import { PAGE_BYTES } from '../../../migrator/transfer/frame.ts';
import { Traffic } from '../../../migrator/transfer/traffic.ts';
import { alone } from '../transfer/alone.ts';
import { startApp, textOf } from './app.ts';
import { testReaders } from './readers.ts';

const PAGES = 64;
/** Of the memory map: what a process has written to by itself. */
const WRITABLE = /^([0-9a-f]+)-([0-9a-f]+) rw-p 00000000 00:00 0 *$/gm;

interface Frozen {
  readonly pid: number;
  readonly inner: number;
  /** Of its memory's first whole page: the end of what it wrote first is in it, and the beginning of what came next. */
  readonly address: number;
}

/** A process stopped where it is, with pages that are known. */
async function freeze(t: Test): Promise<Frozen> {
  const { pid } = await startApp(t, PAGES);
  process.kill(pid, 'SIGSTOP');
  const memory = await open(`/proc/${pid}/mem`, 'r');
  try {
    for (const [, from = '', to = ''] of (await readFile(`/proc/${pid}/maps`, 'utf8')).matchAll(WRITABLE)) {
      const address = Number.parseInt(from, 16);
      const bytes = Buffer.alloc(Number.parseInt(to, 16) - address);
      await memory.read(bytes, 0, bytes.length, address);
      const at = bytes.indexOf(textOf(0).repeat(10));
      if (at < 0 || bytes.length - at < PAGES * PAGE_BYTES) continue;
      // Its pages begin in the middle of one: the first that is whole.
      const aligned = Math.ceil((address + at) / PAGE_BYTES) * PAGE_BYTES;
      return { pid, inner: (await innerPid(pid)) ?? 0, address: aligned };
    }
  } finally {
    await memory.close();
  }
  throw new Error('its pages are not there');
}

interface Asker {
  ask(range: { pid: number; address: number; pages: number; compareOnly?: boolean }, hashes?: Buffer): void;
  answer(): ReturnType<typeof readReply>;
  end(): void;
}

async function connect(t: Test, pids: readonly number[], encodings = ''): Promise<Asker> {
  const readers = testReaders(t);
  const server = createServer((request, response) => {
    const sent = { flow: alone(), traffic: Traffic.faults };
    const options = { processes: async () => pids, readers, ...sent, signal: AbortSignal.timeout(20_000) };
    answerMemory(request, response, options).catch(() => {});
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => server.close());
  const { port } = server.address() as AddressInfo;
  const request = httpRequest({ port, method: 'POST', headers: { 'accept-encoding': encodings } });
  request.on('error', () => {});
  t.teardown(() => request.destroy());
  request.flushHeaders();
  const [response] = (await once(request, 'response')) as [IncomingMessage];
  const reader = new ByteReader(response, () => {});
  return {
    ask: (range, hashes) =>
      void request.write(encodeAsk({ compareOnly: false, ...range, receivedBytes: 0 }, hashes)),
    answer: () => readReply(reader),
    end: () => void request.end(),
  };
}

t.test('pages of a frozen process are kept, zeros, or sent', async (t) => {
  const frozen = await freeze(t);
  const asker = await connect(t, [frozen.pid]);
  asker.ask({ pid: frozen.inner, address: frozen.address, pages: 3 });
  const whole = await asker.answer();
  if ('error' in whole.header) throw new Error(whole.header.error.message);
  t.same(whole.header.parts, [3, AnswerPart.payload]);
  t.ok(whole.payload.includes(textOf(1).repeat(20)), 'these are its pages');

  const hashes = Buffer.alloc(3 * HASH_BYTES);
  writeHash(whole.payload.subarray(0, PAGE_BYTES), hashes, 0);
  writeHash(whole.payload.subarray(0, PAGE_BYTES), hashes, HASH_BYTES);
  asker.ask({ pid: frozen.inner, address: frozen.address, pages: 3 }, hashes);
  const known = await asker.answer();
  t.match(known.header, { parts: [1, AnswerPart.kept, 2, AnswerPart.payload], rawBytes: 2 * PAGE_BYTES });
  t.ok(known.payload.equals(whole.payload.subarray(PAGE_BYTES)));
});

t.test('pages that are only compared do not come', async (t) => {
  const frozen = await freeze(t);
  const asker = await connect(t, [frozen.pid]);
  // From the middle of one block to the middle of another, wherever those begin.
  const range = { pid: frozen.inner, address: frozen.address, pages: PAGES - 1 };
  asker.ask(range);
  const { payload } = await asker.answer();
  const hashes = Buffer.alloc(range.pages * HASH_BYTES);
  for (let page = 0; page < range.pages; page++) {
    const known =
      page === 5
        ? Buffer.alloc(PAGE_BYTES, 'other')
        : payload.subarray(page * PAGE_BYTES, (page + 1) * PAGE_BYTES);
    writeHash(known, hashes, page * HASH_BYTES);
  }
  asker.ask({ ...range, compareOnly: true }, hashes);
  const { header, payload: nothing } = await asker.answer();
  t.match(header, {
    parts: [5, AnswerPart.kept, 1, AnswerPart.changed, PAGES - 7, AnswerPart.kept],
    rawBytes: 0,
  });
  t.equal(nothing.length, 0);
});

t.test('many questions are answered in their order, from one stream', async (t) => {
  const frozen = await freeze(t);
  const asker = await connect(t, [frozen.pid], 'brotli, zstd');
  for (let index = 0; index < 32; index++) {
    asker.ask({ pid: frozen.inner, address: frozen.address + index * PAGE_BYTES, pages: 1 + (index % 16) });
  }
  for (let index = 0; index < 32; index++) {
    const { header, payload } = await asker.answer();
    if ('error' in header) throw new Error(header.error.message);
    t.equal(header.address, frozen.address + index * PAGE_BYTES);
    const raw = (await codecOf(header.encoding)?.decode(payload, header.rawBytes)) ?? payload;
    t.equal(raw.length, (1 + (index % 16)) * PAGE_BYTES);
    t.ok(Buffer.from(raw).includes(textOf(index + 1).repeat(10)));
  }
  asker.end();
  await t.rejects(asker.answer(), { code: 'IMAGES_TRUNCATED' }, 'and when no more is asked, that was all');
});

t.test('memory that is not there is told as such', async (t) => {
  const frozen = await freeze(t);
  for (const range of [
    { pid: frozen.inner, address: 4096, pages: 1 },
    { pid: frozen.inner + 1, address: frozen.address, pages: 1 },
  ]) {
    const asker = await connect(t, [frozen.pid]);
    asker.ask(range);
    t.match((await asker.answer()).header, { error: { code: 'MEMORY_UNREADABLE', retryable: false } });
  }
});

t.test('a question of no known kind ends the stream by name', async (t) => {
  const frozen = await freeze(t);
  for (const range of [
    { pid: frozen.inner, address: 1, pages: 1 },
    { pid: frozen.inner, address: 4096, pages: 100_000 },
    { pid: frozen.inner, address: 4096, pages: 129 },
    { pid: frozen.inner, address: 4096, pages: 1, compareOnly: true },
  ]) {
    const asker = await connect(t, [frozen.pid]);
    asker.ask(range);
    t.match((await asker.answer()).header, { error: { code: 'IMAGES_DAMAGED' } });
  }
});
