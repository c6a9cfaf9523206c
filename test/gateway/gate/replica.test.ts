import t from 'tap';
import { eventually, hold, rawClient, startApp, startFrontFor } from '../proxy/harness.ts';

t.test(
  'while held, the replica answers reads without a gap, and every write is there afterwards',
  async (t) => {
    const written: string[] = [];
    const onRequest =
      (who: string) =>
      (req: import('node:http').IncomingMessage, res: import('node:http').ServerResponse) => {
        if (req.method !== 'POST') {
          res.end(`from ${who};`);
          return;
        }
        let body = '';
        req.on('data', (chunk) => {
          body += chunk;
        });
        req.on('end', () => {
          written.push(`${who} ${body}`);
          res.end('written;');
        });
      };
    const source = await startApp(t, onRequest('source'));
    const destination = await startApp(t, onRequest('destination'));
    const replica = await startApp(t, onRequest('replica'));
    const front = await startFrontFor(t, source, { replicaUrl: replica.url });
    const reader = rawClient(t, front.port);
    const answers: string[] = [];
    const read = async (method: string) => {
      reader.text = '';
      reader.send(`${method} / HTTP/1.1`, 'Host: x', '', '');
      const text = await reader.until(method === 'GET' ? /from \w+;$/ : /\r\n\r\n/);
      answers.push(`${/answered-by: (\w+)/i.exec(text)?.[1]} ${/from (\w+)/.exec(text)?.[1]}`);
    };
    await read('GET');
    await hold(front);
    const writers = [0, 1, 2].map((i) =>
      rawClient(t, front.port).send('POST / HTTP/1.1', 'Host: x', 'Content-Length: 1', '', `${i}`),
    );
    const bodied = rawClient(t, front.port).send('GET / HTTP/1.1', 'Host: x', 'Content-Length: 1', '', 'x');
    const other = rawClient(t, front.port).send('OPTIONS / HTTP/1.1', 'Host: x', '', '');
    await eventually(() => front.gates.snapshot('app').heldRequests === 5);
    await read('GET');
    await read('HEAD');
    t.strictSame(written, []);
    await front.gates.release('app', { host: 'b', url: destination.url });
    for (const writer of writers) await writer.until('written;');
    await bodied.until('from destination');
    await other.until('from destination');
    await eventually(() => front.gates.snapshot('app').state === 'open');
    await read('GET');
    t.strictSame(answers, [
      'undefined source',
      'replica replica',
      'replica undefined',
      'undefined destination',
    ]);
    t.strictSame(written.toSorted(), ['destination 0', 'destination 1', 'destination 2']);
    t.ok(front.lines.includes('finished app GET 200 replica'));
  },
);

t.test('a replica that fails leaves the request waiting in the queue', async (t) => {
  const app = await startApp(t, (_req, res) => res.end('from app'));
  const replica = await startApp(t, () => {});
  replica.server.close();
  const front = await startFrontFor(t, app, { replicaUrl: replica.url });
  await hold(front);
  const client = rawClient(t, front.port).send('GET / HTTP/1.1', 'Host: x', '', '');
  await eventually(() => front.gates.snapshot('app').heldRequests === 1);
  t.equal(client.text, '');
  await front.gates.release('app', { host: 'a', url: app.url });
  t.notMatch(await client.until('from app'), /answered-by/i);
});

t.test('a replica still being asked when the gate opens does not lose the request', async (t) => {
  const app = await startApp(t, (_req, res) => res.end('from app'));
  let ask: import('node:http').ServerResponse | undefined;
  const replica = await startApp(t, (_req, res) => {
    ask = res;
  });
  const front = await startFrontFor(t, app, { replicaUrl: replica.url });
  await hold(front);
  const client = rawClient(t, front.port).send('GET / HTTP/1.1', 'Host: x', '', '');
  await eventually(() => ask !== undefined);
  await front.gates.release('app', { host: 'a', url: app.url });
  ask?.destroy();
  await client.until('from app');
  await eventually(() => front.gates.snapshot('app').inFlight === 0);
});
