import type { Socket } from 'node:net';
import t from 'tap';
import type { Command } from '../../haproxy/command.ts';
import { getMap, setMap, showMap } from '../../haproxy/maps.ts';
import { showWorkers } from '../../haproxy/processes.ts';
import { OneShotRuntime, RuntimeSession } from '../../haproxy/runtime.ts';
import { deleteServer } from '../../haproxy/server-commands.ts';
import { StandIn, trickle } from './stand-in.ts';

const never = new AbortController().signal;

/** A HAProxy that answers as told, and shows its prompt. */
function answering(answers: Readonly<Record<string, string>>, prompt = '> ') {
  return (line: string, socket: Socket): void => {
    if (line === 'prompt') socket.write(prompt === '> ' ? '\n> ' : prompt);
    else socket.write(`${answers[line] ?? 'Unknown command\n'}\n${prompt}`);
  };
}

async function withStandIn(
  onLine: (line: string, socket: Socket) => void,
  act: (standIn: StandIn) => Promise<void>,
  onConnect?: (socket: Socket) => void,
): Promise<void> {
  const standIn = await StandIn.listen(onLine, onConnect);
  try {
    await act(standIn);
  } finally {
    await standIn.close();
  }
}

t.test('an answer that comes byte by byte is read as one', async (t) => {
  let turn = Promise.resolve();
  const slowly = (line: string, socket: Socket) => {
    const text = line === 'prompt' ? '\n> ' : '0x1 shop größer\n0x2 blog open\n\n> ';
    turn = turn.then(() => trickle(socket, text));
  };
  await withStandIn(slowly, async ({ address }) => {
    const [shown, again] = await new OneShotRuntime({ address }).ask(
      [showMap('apps'), showMap('apps')],
      never,
    );
    t.same(shown, [
      { ref: '0x1', key: 'shop', value: 'größer' },
      { ref: '0x2', key: 'blog', value: 'open' },
    ]);
    t.same(again, shown);
  });
});

t.test('nobody at the address', async (t) => {
  const gone = await StandIn.listen(() => {});
  await gone.close();
  const asked = new OneShotRuntime({ address: gone.address }).ask([showMap('apps')], never);
  await t.rejects(asked, { code: 'HAPROXY_UNREACHABLE', retryable: true, message: gone.address.path });
});

t.test('one that never shows its prompt, and one that never answers', async (t) => {
  await withStandIn(
    () => {},
    async ({ address }) => {
      const asked = new OneShotRuntime({ address, timeoutMs: 50 }).ask([showMap('apps')], never);
      await t.rejects(asked, { code: 'HAPROXY_SILENT', retryable: true, message: /prompt within 50 ms/ });
    },
  );
  const stalls = (line: string, socket: Socket) => socket.write(line === 'prompt' ? '\n> ' : '0x1 shop op');
  await withStandIn(stalls, async ({ address }) => {
    const asked = new OneShotRuntime({ address, timeoutMs: 50 }).ask([showMap('apps')], never);
    await t.rejects(asked, { code: 'HAPROXY_SILENT', message: /did not answer within 50 ms/ });
  });
});

t.test('a caller that has enough is let go at once', async (t) => {
  const stop = new AbortController();
  const onLine = (line: string, socket: Socket) => {
    if (line === 'prompt') socket.write('\n> ');
    else stop.abort(new Error('enough'));
  };
  await withStandIn(onLine, async ({ address }) => {
    const runtime = new OneShotRuntime({ address, timeoutMs: 60_000 });
    await t.rejects(runtime.ask([showMap('apps')], stop.signal), { code: 'DEADLINE' });
    await t.rejects(runtime.ask([showMap('apps')], stop.signal), { code: 'DEADLINE' });
  });
});

t.test('a connection that ends in the middle of an answer', async (t) => {
  const breaksOff = (line: string, socket: Socket) =>
    line === 'prompt' ? socket.write('\n> ') : socket.end('0x1 shop open\n0x2 bl');
  await withStandIn(breaksOff, async ({ address }) => {
    const asked = new OneShotRuntime({ address }).ask([showMap('apps')], never);
    await t.rejects(asked, { code: 'HAPROXY_CONNECTION_LOST', retryable: true });
  });
});

t.test('something that is no HAProxy', async (t) => {
  for (const banner of ['SSH-2.0-OpenSSH_9.2\r\n', 'HTTP/1.1 400 Bad Request\r\n\r\n']) {
    await withStandIn(
      () => {},
      async ({ address }) => {
        const asked = new OneShotRuntime({ address }).ask([showMap('apps')], never);
        await t.rejects(asked, { code: 'HAPROXY_ANSWER_INVALID' });
      },
      (socket) => socket.write(banner),
    );
  }
});

t.test('behind a master, commands go to the current worker or the one named', async (t) => {
  const proc =
    '#<PID> <type> <reloads> <uptime> <version>\n1 master 1 [failed: 0] 0d 3.2\n# workers\n7 worker 0 0d 3.2\n';
  const master = answering(
    { '@1 show map m': '0x1 k now\n', '@!7 show map m': '0x1 k then\n', 'show proc': proc },
    'master> ',
  );
  await withStandIn(master, async ({ address }) => {
    const [entries, workers] = await new OneShotRuntime({ address }).ask(
      [showMap('m'), showWorkers()],
      never,
    );
    t.match(entries, [{ value: 'now' }]);
    t.match(workers, [{ pid: 7, reloads: 0 }]);
    t.match(await new OneShotRuntime({ address, workerPid: 7 }).ask([showMap('m')], never), [
      [{ value: 'then' }],
    ]);
  });
  await withStandIn(answering({}), async ({ address }) => {
    const asked = new OneShotRuntime({ address }).ask([showWorkers()], never);
    await t.rejects(asked, { code: 'HAPROXY_NO_MASTER' }, 'on the socket of a worker');
  });
});

t.test('a refusal behind which more was asked is told, and the rest is read past it', async (t) => {
  const onLine = answering({ 'get map m k': 'type=str, found=yes, key="k", value="v", type="str"\n' });
  await withStandIn(onLine, async ({ address }) => {
    const session = new RuntimeSession({ address });
    const asked = session.ask([showMap('nope'), getMap('m', 'k')], never);
    await t.rejects(asked, { code: 'HAPROXY_COMMAND_UNKNOWN', message: /`show map nope`/ });
    t.same(await session.ask([getMap('m', 'k')], never), ['v']);
    session.close();
  });
});

t.test('a session keeps its connection, and takes another when HAProxy has closed it', async (t) => {
  await withStandIn(answering({ 'show map m': '0x1 k v\n' }), async (standIn) => {
    const session = new RuntimeSession({ address: standIn.address });
    await session.ask([showMap('m')], never);
    await Promise.all([session.ask([showMap('m')], never), session.ask([showMap('m')], never)]);
    t.equal(standIn.connections, 1);
    standIn.dropAll();
    t.match(await session.ask([showMap('m')], never), [[{ value: 'v' }]]);
    t.equal(standIn.connections, 2);
    session.close();
  });
});

t.test('a broken connection: what does no harm is asked again, the rest is left to the caller', async (t) => {
  const cases: [Command<unknown>, boolean][] = [
    [setMap('m', 'k', 'v'), true],
    [deleteServer({ backend: 'b', server: 's' }), false],
  ];
  for (const [command, isRepeated] of cases) {
    const asked: string[] = [];
    const onLine = (line: string, socket: Socket) => {
      if (line !== 'prompt') asked.push(line);
      if (asked.length === 2 && line !== 'prompt') socket.destroy();
      else socket.write('\n> ');
    };
    await withStandIn(onLine, async (standIn) => {
      const session = new RuntimeSession({ address: standIn.address });
      await session.ask([setMap('m', 'k', 'first')], never);
      const outcome = session.ask([command], never);
      if (isRepeated) await outcome;
      else await t.rejects(outcome, { code: 'HAPROXY_CONNECTION_LOST' });
      t.same(asked.slice(1), isRepeated ? [command.line, command.line] : [command.line]);
      t.equal(standIn.connections, 2);
      session.close();
    });
  }
});

t.test('more at once than is sensible is refused', async (t) => {
  const stalls = (line: string, socket: Socket) => line === 'prompt' && socket.write('\n> ');
  await withStandIn(stalls, async ({ address }) => {
    const many = Array.from({ length: 1_001 }, () => showMap('m'));
    await t.rejects(new OneShotRuntime({ address }).ask(many, never), { code: 'HAPROXY_BUSY' });
  });
});
