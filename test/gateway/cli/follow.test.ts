import { createServer as createHttpServer } from 'node:http';
import { connect, createServer, type Socket } from 'node:net';
import t, { type Test } from 'tap';
import { AdminClient } from '../../../gateway/cli/admin-client.ts';
import { followMigration } from '../../../gateway/cli/follow.ts';
import { readServerSentEvents } from '../../../gateway/cli/server-sent-events.ts';
import { type MigrationEvent, Step } from '../../../migrator/events.ts';
import { toyFleet } from '../admin/toy-fleet.ts';

/** A way to the admin API that can be cut and closed. */
async function relay(t: Test, to: string) {
  const pairs = new Set<Socket>();
  const server = createServer((client) => {
    const upstream = connect(Number(new URL(to).port), '127.0.0.1');
    for (const socket of [client, upstream]) {
      pairs.add(socket);
      socket.on('error', () => {});
      socket.on('close', () => pairs.delete(socket));
    }
    client.pipe(upstream).pipe(client);
  });
  const listen = (port: number) =>
    new Promise<void>((resolve) => {
      server.listen(port, '127.0.0.1', resolve);
    });
  await listen(0);
  const { port } = server.address() as { port: number };
  const cut = () => {
    for (const socket of pairs) socket.destroy();
  };
  t.teardown(() => {
    cut();
    server.close();
  });
  const close = () =>
    new Promise<void>((resolve) => {
      server.close(() => resolve());
      cut();
    });
  return { url: `http://127.0.0.1:${port}`, cut, close, reopen: () => listen(port) };
}

async function slowMove(t: Test) {
  const fleet = await toyFleet(t);
  let goOn = () => {};
  fleet.beforeSend = new Promise((resolve) => {
    goOn = resolve;
  });
  const { id } = await fleet.context.migrations.order({ app: 'shop', to: 'b' });
  return { fleet, id, goOn: () => goOn() };
}

const said = (events: readonly MigrationEvent[]) =>
  events.map((event) => ('step' in event ? `${event.type} ${event.step}` : event.type));

t.test('a stream that is cut goes on without an event lost or told twice', async (t) => {
  const { fleet, id, goOn } = await slowMove(t);
  const way = await relay(t, fleet.url);
  const events: MigrationEvent[] = [];
  const ended = await followMigration(new AdminClient({ url: way.url }), id, (event) => {
    events.push(event);
    if (event.type === 'step-finished' && event.step === 'freeze') way.cut();
    if (event.type === 'step-started' && event.step === 'send') {
      way.cut();
      goOn();
    }
  });
  t.equal(ended.outcome, 'succeeded');
  t.same(said(events), [...new Set(said(events))]);
  const others: readonly Step[] = [Step.bring, Step.bringAgain, Step.standBy, Step.verify];
  const steps = Object.values(Step).filter((step) => !others.includes(step)); // Not of this order.
  t.equal(said(events).filter((line) => line.startsWith('step-finished')).length, steps.length);
});

t.test('a gateway that is away for a while is waited for', async (t) => {
  const { fleet, id, goOn } = await slowMove(t);
  const way = await relay(t, fleet.url);
  let back: Promise<void> | undefined;
  const ended = await followMigration(new AdminClient({ url: way.url }), id, (event) => {
    if (event.type !== 'step-started' || event.step !== 'send') return;
    back = way.close().then(async () => {
      goOn();
      await fleet.context.migrations.settled();
      await way.reopen();
    });
  });
  await back;
  t.equal(ended.outcome, 'succeeded');
});

t.test('a gateway that stays away is given up on', async (t) => {
  const client = new AdminClient({ url: 'http://127.0.0.1:1' });
  await t.rejects(
    followMigration(client, 'x', () => {}, 0),
    { code: 'GATEWAY_UNREACHABLE' },
  );
});

t.test('a migration that the gateway does not go on with is given up on', async (t) => {
  const server = createHttpServer((_request, response) => {
    response.setHeader('content-type', 'text/event-stream');
    response.end('retry: 500\n\n');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => server.close());
  const { port } = server.address() as { port: number };
  const client = new AdminClient({ url: `http://127.0.0.1:${port}` });
  await t.rejects(
    followMigration(client, 'x', () => {}, 0),
    { code: 'MIGRATION_LEFT' },
  );
});

t.test('a migration that is not known is not waited for', async (t) => {
  const { url } = await toyFleet(t);
  await t.rejects(
    followMigration(new AdminClient({ url }), 'x', () => {}),
    { code: 'MIGRATION_UNKNOWN' },
  );
});

t.test('whatever answers but is no gateway is told apart', async (t) => {
  const server = createServer((socket) => {
    socket.on('error', () => {});
    socket.end('HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => server.close());
  const { port } = server.address() as { port: number };
  await t.rejects(new AdminClient({ url: `http://127.0.0.1:${port}` }).get('/v1/apps'), {
    code: 'GATEWAY_ANSWER_INVALID',
  });
});

t.test('events are read whole, wherever the bytes are cut', async (t) => {
  const bytes = Buffer.from(
    'retry: 5\n\nid: 1\nevent: a\ndata: {"x":"ä: b"}\n\n: nothing new\n\nid: 2\ndata: 2\n\nid: 3\nda',
  );
  for (let at = 0; at <= bytes.length; at += 1) {
    const events = [];
    for await (const event of readServerSentEvents([bytes.subarray(0, at), bytes.subarray(at)]))
      events.push(event);
    t.same(
      events,
      [
        { id: '1', data: '{"x":"ä: b"}' },
        { id: '2', data: '2' },
      ],
      `cut at ${at}`,
    );
  }
});
