import t from 'tap';
import { Strategy } from '../../migrator/events.ts';
import { RealApp, Users, whyNoRealApps } from './real-app.ts';

const skip = await whyNoRealApps();

const SCRIPT = `redis-server --bind 127.0.0.1 --unixsocket /run/redis.sock --appendonly yes --appendfsync always \
  --dir /var/lib/redis --daemonize yes --logfile /var/log/redis.log
exec gunicorn --workers 2 --threads 4 --bind 0.0.0.0:8080 counter:app`;
/** The numbers that Redis has given the connections of its clients: those of redis-cli itself are over the Unix socket. */
const OVER_TCP = `redis-cli -s /run/redis.sock client list | sed -n 's/^id=\\([0-9]*\\) addr=127.*/\\1/p' | sort -n | tr '\\n' ' '`;

t.test(
  'an app counts in the Redis beside it in its container while it is moved, over a Unix socket and over TCP',
  { skip, timeout: 170_000 },
  async (t) => {
    const app = await RealApp.open({ script: SCRIPT });
    try {
      const counts: Record<string, number[]> = { unix: [], tcp: [] };
      const users = new Users(6, async (user) => {
        const name = user % 2 === 0 ? 'unix' : 'tcp';
        counts[name]?.push(Number(await app.ask(`/${name}`, { method: 'POST' })));
      });
      /** Redis knows its clients' connections by numbers: a new one gets a new number. */
      const keeps = async (what: string, change: () => Promise<unknown>) => {
        await users.doMore(60);
        const before = await app.inside(OVER_TCP);
        await change();
        await users.doMore(60);
        const after = (await app.inside(OVER_TCP)).split(' ');
        t.ok(before !== '' && before.split(' ').every((id) => after.includes(id)), `${what}: ${before}`);
      };
      await keeps('its connections live on after a move that failed', async () => {
        await app.runThere('mv', '/usr/bin/ip', '/usr/bin/no-ip');
        t.match(await app.move(Strategy.preCopy), {
          outcome: 'rolled-back',
          error: { code: 'RESTORE_FAILED' },
        });
        await app.runThere('mv', '/usr/bin/no-ip', '/usr/bin/ip');
      });
      for (const strategy of [Strategy.preCopy, Strategy.hybrid]) {
        await keeps(`its connections live on after ${strategy}`, async () => {
          const ended = await app.move(strategy);
          t.equal(ended.outcome, 'succeeded', `${strategy}: ${ended.error?.message ?? 'as ordered'}`);
        });
      }
      await users.end();
      t.same(users.failures, [], 'every count was acknowledged');
      for (const [name, numbers] of Object.entries(counts)) {
        const all = numbers.map((_, nth) => nth + 1);
        t.same(
          numbers.sort((x, y) => x - y),
          all,
          `${name}: each number was given once`,
        );
        t.equal(await app.inside(`redis-cli -s /run/redis.sock get ${name}`), String(numbers.length));
      }
      await app.restart();
      for (const [name, numbers] of Object.entries(counts)) {
        t.equal(await app.ask(`/${name}`), String(numbers.length), 'and Redis reads as much from its file');
      }
    } finally {
      if (!t.passing()) t.comment(app.logs());
      await app.close();
    }
  },
);
