import { execFileSync, fork } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import t from 'tap';
import { startApp } from '../proxy/harness.ts';
import type { Command } from './many-front.ts';

const REQUESTS = 10_000;
const RELEASE_CONCURRENCY = 64;
const openFiles = execFileSync('sh', ['-c', 'ulimit -n']).toString().trim();
const isEnough = openFiles === 'unlimited' || Number(openFiles) > REQUESTS + 1_000;

t.test(
  '10,000 requests held at once cost less than 200 MiB and are let go in order, never too many at once',
  { skip: isEnough ? false : `only ${openFiles} open files are allowed` },
  async (t) => {
    let now = 0;
    let most = 0;
    const app = await startApp(t, (req, res) => {
      now += 1;
      most = Math.max(most, now);
      setImmediate(() => {
        now -= 1;
        res.end(`answer ${req.url};`);
      });
    });
    const child = fork(new URL('many-front.ts', import.meta.url), {
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    });
    t.teardown(() => child.kill('SIGKILL'));
    const tell = async (command: Command): Promise<unknown> => {
      child.send(command);
      const [reply] = (await once(child, 'message')) as [{ value?: unknown; error?: string }];
      if (reply.error !== undefined) throw new Error(reply.error);
      return reply.value;
    };
    const { url } = app;
    const limits = { maxHeldRequests: REQUESTS, releaseConcurrency: RELEASE_CONCURRENCY };
    const port = (await tell({ do: 'start', url, options: { limits } })) as number;
    await tell({ do: 'hold', url });

    const before = rssBytes(child.pid);
    const answers: string[] = [];
    const sockets: Socket[] = [];
    t.teardown(() => {
      for (const socket of sockets) socket.destroy();
    });
    const allAnswered = new Promise<void>((resolve) => {
      const onAnswer = (text: string) => {
        if (answers.push(text) === REQUESTS) resolve();
      };
      const ask = (i: number) => {
        const socket = connect(port, '127.0.0.1', () => {
          socket.write(`GET /${i} HTTP/1.1\r\nHost: shop.example\r\nAccept: */*\r\nUser-Agent: many\r\n\r\n`);
        });
        socket.setEncoding('latin1');
        socket.on('data', (text: string) => onAnswer(/answer \/\d+;$/.exec(text)?.[0] ?? text));
        socket.on('error', (error) => onAnswer(String(error)));
        sockets.push(socket);
      };
      void (async () => {
        for (let i = 0; i < REQUESTS; i += 1) {
          ask(i);
          // No faster than they are accepted, so that the order of arrival is known.
          if (i % 100 === 99) while ((await tell({ do: 'held', url })) !== i + 1);
        }
        t.ok(mib(child.pid, before) < 200, `held: ${mib(child.pid, before)} MiB more`);
        await tell({ do: 'release', url });
      })();
    });
    await allAnswered;
    t.ok(mib(child.pid, before) < 200, `after: ${mib(child.pid, before)} MiB more`);
    t.equal(new Set(answers).size, REQUESTS);
    t.strictSame(
      answers.filter((answer) => !answer.startsWith('answer /')),
      [],
    );
    t.ok(most <= RELEASE_CONCURRENCY, `at most ${most} at once`);
    const sent = (await tell({ do: 'sent', url })) as string[];
    t.equal(sent.length, REQUESTS);
    t.equal(displaced(sent), 0, 'sent in order of arrival');
  },
);

function rssBytes(pid: number | undefined): number {
  const kib = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
  return Number(kib) * 1_024;
}

function mib(pid: number | undefined, before: number): number {
  return Math.round((rssBytes(pid) - before) / 2 ** 20);
}

function displaced(paths: readonly string[]): number {
  return paths.filter((path, i) => path !== `/${i}`).length;
}
