import type { Socket } from 'node:net';
import { HoldfastError } from '../errors.ts';
import { PAGE_BYTES } from '../transfer/frame.ts';
import { PageFlag } from './pagemap.ts';

/**
 * The protocol between `criu lazy-pages` and a page server (criu/page-xfer.c): the daemon sends one
 * `struct page_server_iov` for each range of pages it wants, and gets one back, followed by the pages. Answers come in
 * the order of the requests. One may bring fewer pages than were asked for, though not none: the daemon asks for the
 * rest anew. All numbers are in the host's byte order, which is little-endian on every platform CRIU knows but s390.
 *
 * | offset | bytes | field |
 * |---|---|---|
 * | 0 | 4 | command in the lower half; in an answer the pages' flags (`PE_*`) in the upper |
 * | 8 | 8 | pages |
 * | 16 | 8 | address at the time of the dump |
 * | 24 | 8 | the process, by the pid it has inside its container |
 *
 * When it has all pages the daemon says `PS_IOV_CLOSE`, awaits a 32-bit zero, and ends.
 */
const IOV_BYTES = 32;
const Command = { addWithFlags: 6, get: 7, close: 0x1023, forceClose: 0x1024 } as const;
const FLAGS_SHIFT = 16;
/** What the daemon asks for at most at a time is 4 MiB; every waiting thread asks for one page more. */
const MOST_PAGES = 64 * 1024;
const MOST_REQUESTS = 64 * 1024;

export interface PageRequest {
  readonly pid: number;
  readonly address: number;
  readonly pages: number;
}

/** Who has the pages. */
export interface PageSupply {
  /** A request has come. Called for each at once, in their order, while earlier ones may still wait. */
  expect(request: PageRequest): void;
  /** It is this request's turn: settles with its first pages, one at least, side by side in any number of buffers. */
  pages(request: PageRequest): Promise<readonly Uint8Array[]>;
}

/**
 * Serve one daemon on its connection. Settles when it has said that it is done, or closed the connection.
 *
 * @throws HoldfastError `PAGE_REQUEST_INVALID`, and what `supply` gives; the connection is left open then: a daemon that
 *   finds it closed ends, and the kernel answers its processes' faults with zeros
 */
export async function servePages(socket: Socket, supply: PageSupply): Promise<void> {
  const waiting: PageRequest[] = [];
  const parser = new RequestParser();
  let wake: () => void = () => {};
  let failure: unknown;
  let closing = false;
  const onData = (bytes: Buffer) => {
    try {
      for (const request of parser.push(bytes)) {
        if (request === 'close') closing = true;
        else {
          if (waiting.length >= MOST_REQUESTS) throw invalid(`${waiting.length} requests at once`);
          waiting.push(request);
          supply.expect(request);
        }
      }
    } catch (error) {
      failure = error;
    }
    wake();
  };
  let closed = false;
  const gone = new Promise<void>((resolve) => {
    socket.once('close', () => {
      closed = true;
      closing = true;
      wake();
      resolve();
    });
  });
  socket.on('data', onData);
  socket.on('error', () => {}); // Followed by its close.
  try {
    for (;;) {
      if (failure !== undefined) throw failure;
      const request: PageRequest | undefined = waiting.shift();
      if (request === undefined) {
        if (closing) break;
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
        continue;
      }
      const pages = await Promise.race([supply.pages(request), gone]);
      if (closed || pages === undefined) break;
      await answer(socket, request, pages);
    }
    if (socket.writable) socket.write(Buffer.alloc(4));
  } finally {
    socket.removeListener('data', onData);
  }
}

/** Settles when the kernel has it: the next answer is put together only then. */
function answer(socket: Socket, request: PageRequest, parts: readonly Uint8Array[]): Promise<void> {
  const sizeBytes = parts.reduce((sum, { length }) => sum + length, 0);
  const head = Buffer.alloc(IOV_BYTES);
  head.writeUInt32LE(Command.addWithFlags + PageFlag.present * 2 ** FLAGS_SHIFT, 0);
  head.writeBigUInt64LE(BigInt(sizeBytes / PAGE_BYTES), 8);
  head.writeBigUInt64LE(BigInt(request.address), 16);
  head.writeBigUInt64LE(BigInt(request.pid), 24);
  return new Promise((resolve) => {
    // A daemon that has gone is told by the close.
    const done = () => {
      socket.removeListener('close', done);
      resolve();
    };
    if (!socket.writable) {
      resolve();
      return;
    }
    socket.on('close', done);
    socket.cork();
    socket.write(head);
    parts.forEach((part, index) => {
      if (index < parts.length - 1) socket.write(part);
      else socket.write(part, done);
    });
    socket.uncork();
  });
}

/** Takes requests out of the stream, however it is split. */
class RequestParser {
  #rest: Buffer = Buffer.alloc(0);

  *push(bytes: Buffer): Generator<PageRequest | 'close'> {
    const all = this.#rest.length === 0 ? bytes : Buffer.concat([this.#rest, bytes]);
    let at = 0;
    for (; at + IOV_BYTES <= all.length; at += IOV_BYTES)
      yield parseRequest(all.subarray(at, at + IOV_BYTES));
    this.#rest = Buffer.from(all.subarray(at));
  }
}

function parseRequest(iov: Buffer): PageRequest | 'close' {
  const command = iov.readUInt16LE(0);
  if (command === Command.close || command === Command.forceClose) return 'close';
  const pages = iov.readBigUInt64LE(8);
  const address = iov.readBigUInt64LE(16);
  const pid = iov.readBigUInt64LE(24);
  const wellFormed =
    command === Command.get &&
    pages > 0n &&
    pages <= BigInt(MOST_PAGES) &&
    address <= BigInt(Number.MAX_SAFE_INTEGER) &&
    pid <= 0xffffffffn;
  if (!wellFormed) throw invalid(`command ${command} for ${pages} pages of process ${pid}`);
  return { pid: Number(pid), address: Number(address), pages: Number(pages) };
}

function invalid(what: string): HoldfastError {
  return new HoldfastError(
    'PAGE_REQUEST_INVALID',
    `criu lazy-pages asked for what is not understood: ${what}`,
    {
      mend: 'run a version of CRIU that this release was tested with',
    },
  );
}
