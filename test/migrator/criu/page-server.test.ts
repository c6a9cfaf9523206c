import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import t, { type Test } from 'tap';
import { type PageRequest, servePages } from '../../../migrator/criu/page-server.ts';

const IOV_BYTES = 32;
const GET = 7;
const CLOSE = 0x1023;
const PAGE = 4096;

/** `struct page_server_iov` as CRIU sends it. */
function iov(
  command: number,
  { pid, address, pages }: PageRequest = { pid: 0, address: 0, pages: 0 },
): Buffer {
  const bytes = Buffer.alloc(IOV_BYTES);
  bytes.writeUInt32LE(command, 0);
  bytes.writeBigUInt64LE(BigInt(pages), 8);
  bytes.writeBigUInt64LE(BigInt(address), 16);
  bytes.writeBigUInt64LE(BigInt(pid), 24);
  return bytes;
}

async function connected(t: Test): Promise<{ server: Socket; daemon: Socket }> {
  const listener = createServer();
  listener.listen(0, '127.0.0.1');
  await once(listener, 'listening');
  const daemon = connect((listener.address() as AddressInfo).port, '127.0.0.1');
  const [server] = (await once(listener, 'connection')) as [Socket];
  listener.close();
  daemon.on('error', () => {});
  t.teardown(() => {
    daemon.destroy();
    server.destroy();
  });
  return { server, daemon };
}

/** Exactly as many bytes as are awaited, and no more. */
function reader(socket: Socket): (length: number) => Promise<Buffer> {
  socket.pause();
  return async (length) => {
    for (;;) {
      const bytes = socket.read(length) as Buffer | null;
      if (bytes !== null) return bytes;
      await once(socket, 'readable');
    }
  };
}

const filled = (byte: number, pages = 1) => Buffer.alloc(pages * PAGE, byte);

t.test('requests are understood however the stream is split', async (t) => {
  const { server, daemon } = await connected(t);
  const expected: PageRequest[] = [];
  const served = servePages(server, {
    expect: (request) => expected.push(request),
    pages: async ({ pages, pid }) => [filled(pid, pages)],
  });
  const read = reader(daemon);
  const requests = [
    { pid: 1, address: 0x7f0000000000, pages: 2 },
    { pid: 65, address: 0x7fffffffe000, pages: 1 },
  ];
  const bytes = Buffer.concat(requests.map((request) => iov(GET, request)));
  for (const byte of bytes) daemon.write(Buffer.of(byte));
  for (const request of requests) {
    const head = await read(IOV_BYTES);
    t.equal(head.readUInt32LE(0), 6 + 4 * 65536, 'PS_IOV_ADD_F with PE_PRESENT');
    t.equal(Number(head.readBigUInt64LE(8)), request.pages);
    t.equal(Number(head.readBigUInt64LE(16)), request.address);
    t.equal(Number(head.readBigUInt64LE(24)), request.pid);
    t.ok((await read(request.pages * PAGE)).equals(filled(request.pid, request.pages)));
  }
  t.same(expected, requests);
  daemon.write(iov(CLOSE));
  t.equal((await read(4)).readInt32LE(0), 0, 'the daemon hears that all is well');
  await served;
});

t.test('answers keep the order of the requests, and what is expected is known at once', async (t) => {
  const { server, daemon } = await connected(t);
  const expected: number[] = [];
  let release: (pages: Buffer[]) => void = () => {};
  const first = new Promise<Buffer[]>((resolve) => {
    release = resolve;
  });
  const bothExpected = new Promise<void>((resolve) => {
    void servePages(server, {
      expect: ({ pid }) => {
        expected.push(pid);
        if (expected.length === 2) resolve();
      },
      pages: async ({ pid }) => (pid === 1 ? first : [filled(2)]),
    });
  });
  daemon.write(iov(GET, { pid: 1, address: 0, pages: 4 }));
  daemon.write(iov(GET, { pid: 2, address: 0, pages: 1 }));
  await bothExpected;
  release([filled(1), filled(1)]);
  const read = reader(daemon);
  const head = await read(IOV_BYTES);
  t.equal(Number(head.readBigUInt64LE(24)), 1);
  t.equal(Number(head.readBigUInt64LE(8)), 2, 'an answer may be shorter than its request');
  await read(2 * PAGE);
  t.equal(Number((await read(IOV_BYTES)).readBigUInt64LE(24)), 2);
});

t.test('a daemon that goes away ends the service, also while it waits for a page', async (t) => {
  const { server, daemon } = await connected(t);
  let expected: () => void = () => {};
  const isExpected = new Promise<void>((resolve) => {
    expected = resolve;
  });
  const served = servePages(server, { expect: () => expected(), pages: () => new Promise(() => {}) });
  daemon.write(iov(GET, { pid: 1, address: 0, pages: 1 }));
  await isExpected;
  daemon.destroy();
  await served;
});

t.test('what CRIU never asks for ends the service by name, and leaves the connection open', async (t) => {
  const wrong = [
    iov(3),
    iov(GET, { pid: 1, address: 0, pages: 0 }),
    iov(GET, { pid: 1, address: 0, pages: 1_000_000 }),
    iov(GET, { pid: 2 ** 40, address: 0, pages: 1 }),
  ];
  for (const request of wrong) {
    const { server, daemon } = await connected(t);
    const served = servePages(server, { expect: () => {}, pages: async () => [filled(1)] });
    daemon.write(request);
    await t.rejects(served, { code: 'PAGE_REQUEST_INVALID' });
    t.ok(server.writable, 'the daemon is not let go of');
  }
});

t.test('what the supply fails of ends the service', async (t) => {
  const { server, daemon } = await connected(t);
  const served = servePages(server, {
    expect: () => {},
    pages: () => Promise.reject(new Error('no such page')),
  });
  daemon.write(iov(GET, { pid: 1, address: 0, pages: 1 }));
  await t.rejects(served, { message: 'no such page' });
});
