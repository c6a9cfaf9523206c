import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { type Duplex, Readable } from 'node:stream';
import { buffer, text } from 'node:stream/consumers';
import { finished, pipeline } from 'node:stream/promises';
import t, { type Test } from 'tap';
import { type ErrorBody, HoldfastError } from '../../../migrator/errors.ts';
import { Role } from '../../../migrator/pki/role.ts';
import { Link } from '../../../migrator/transfer/link.ts';
import { answerStream } from '../../../migrator/transfer/stream-answer.ts';
import { callStream } from '../../../migrator/transfer/stream-call.ts';
import { Traffic } from '../../../migrator/transfer/traffic.ts';
import { makePki } from '../agent/two-hosts.ts';
import { alone } from './alone.ts';
import { relay } from './loopback.ts';

type Take = (stream: Duplex, signal: AbortSignal) => Promise<void>;

function soon(): AbortSignal {
  return AbortSignal.timeout(20_000);
}

/** A receiving end over real TLS on loopback that does `take` with every stream, and a link to it. */
async function receiver(
  t: Test,
  take: Take,
  options: { through?: (port: number) => Promise<number>; refusal?: ErrorBody } = {},
) {
  const tls = await (await makePki(path.join(t.testdir(), 'pki')))('end', Role.agent);
  const outcomes: Promise<unknown>[] = [];
  const server = createServer(
    { ...tls, requestCert: true },
    (request: IncomingMessage, response: ServerResponse) => {
      if (options.refusal) return response.writeHead(409).end(JSON.stringify(options.refusal));
      const outcome = answerStream(request, response, { take, signal: soon() });
      outcomes.push(
        outcome.then(
          () => 'taken in',
          (error: HoldfastError) => error.code,
        ),
      );
    },
  );
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const to = (await options.through?.(port)) ?? port;
  const link = new Link({ url: `https://127.0.0.1:${to}`, tls });
  t.teardown(() => {
    link.close();
    server.closeAllConnections();
    server.close();
  });
  let idle = 0;
  const open = (signal = soon()) =>
    callStream(link, '/', { flow: alone(), traffic: () => Traffic.files, onIdle: () => idle++, signal });
  return { open, link, outcomes, timesIdle: () => idle };
}

t.test('both ends speak at once, and every byte arrives in order', async (t) => {
  const { open } = await receiver(t, async (stream) => pipeline(stream, stream));
  const bytes = randomBytes(24 << 20);
  const stream = await open();
  const came = buffer(stream);
  await pipeline(Readable.from(pieces(bytes)), stream, { end: true });
  t.ok((await came).equals(bytes));
});

t.test('a slow reader holds the writer back, at either end', async (t) => {
  let read = 0;
  const { open } = await receiver(t, async (stream) => {
    for await (const chunk of stream) {
      read += (chunk as Buffer).length;
      await new Promise((resolve) => setImmediate(resolve));
    }
  });
  const stream = await open();
  stream.resume();
  let writtenAhead = 0;
  for (let index = 0; index < 200; index++) {
    if (!stream.write(randomBytes(128 << 10))) await once(stream, 'drain');
    writtenAhead = Math.max(writtenAhead, (index + 1) * (128 << 10) - read);
  }
  stream.end();
  await finished(stream);
  t.equal(read, 200 * (128 << 10));
  t.ok(writtenAhead < 20 << 20, 'it does not pile up');
});

t.test('each half ends by itself', async (t) => {
  const { open, outcomes } = await receiver(t, async (stream) => {
    stream.end('what I have');
    t.equal(await text(stream), 'what you lack');
  });
  const stream = await open();
  t.equal(await text(stream), 'what I have', 'the end is heard while the other half goes on');
  stream.end('what you lack');
  await finished(stream);
  t.same(await Promise.all(outcomes), ['taken in']);
});

t.test('it finishes only when all has been taken in', async (t) => {
  let taken = false;
  const { open } = await receiver(t, async (stream) => {
    await text(stream);
    // As long as a layer takes to unpack: the link is quiet, but for signs of life.
    await once(AbortSignal.timeout(1_500), 'abort');
    taken = true;
  });
  const stream = await open();
  stream.end('much');
  await finished(stream.resume());
  t.ok(taken);
});

t.test('a link that was used stands ready for the next stream', async (t) => {
  const { open, link, timesIdle } = await receiver(t, async (stream) => void (await text(stream)));
  for (const times of [1, 2, 3]) {
    const stream = await open();
    stream.end('x'.repeat(100_000));
    await finished(stream.resume());
    while (timesIdle() < times) await new Promise((resolve) => setImmediate(resolve));
  }
  t.ok(link.isOpen);
});

t.test('what the other end failed with is the error of the stream', async (t) => {
  const { open, outcomes } = await receiver(t, async () => {
    throw new HoldfastError('FILES_DISK_FULL', 'there is no room', { mend: 'make room' });
  });
  const stream = await open();
  await t.rejects(pipeline(Readable.from(pieces(randomBytes(8 << 20))), stream), {
    code: 'FILES_DISK_FULL',
    mend: 'make room',
  });
  t.same(await Promise.all(outcomes), ['FILES_DISK_FULL']);
});

t.test('a sender that goes away ends what takes in', async (t) => {
  let begun = () => {};
  const begins = new Promise<void>((resolve) => {
    begun = resolve;
  });
  const { open, outcomes } = await receiver(t, async (_stream, signal) => {
    begun();
    await once(signal, 'abort');
    throw signal.reason;
  });
  const stream = await open();
  await begins;
  stream.destroy();
  t.same(await Promise.all(outcomes), ['LINK_BROKEN']);
});

t.test('a link that carries nothing any more is noticed', async (t) => {
  let cut = () => {};
  const { open } = await receiver(t, async (stream) => void (await text(stream)), {
    through: async (port) => {
      const cable = await relay(t, port);
      cut = () => cable.cutAfter(0);
      return cable.port;
    },
  });
  const stream = await open();
  cut();
  stream.end('lost');
  await t.rejects(finished(stream.resume()), { code: 'LINK_STALLED', retryable: true });
});

t.test('a signal ends it at both ends', async (t) => {
  const { open, outcomes } = await receiver(t, async (stream) => void (await text(stream)));
  const stop = new AbortController();
  const stream = await open(stop.signal);
  stop.abort(new HoldfastError('INTERRUPTED', 'called off'));
  await t.rejects(finished(stream), { code: 'INTERRUPTED' });
  t.same(await Promise.all(outcomes), ['LINK_BROKEN']);
});

t.test('a refusal is told as what it says', async (t) => {
  const refusal = { code: 'MIGRATION_UNKNOWN', message: 'not here', retryable: false };
  const { open } = await receiver(t, async () => {}, { refusal });
  await t.rejects(open(), { code: 'MIGRATION_UNKNOWN', message: 'not here' });
});

function* pieces(bytes: Buffer): Generator<Buffer> {
  for (let at = 0; at < bytes.length; at += 100_000) yield bytes.subarray(at, at + 100_000);
}
