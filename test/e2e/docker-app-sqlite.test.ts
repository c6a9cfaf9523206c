import t from 'tap';
import { Strategy } from '../../migrator/events.ts';
import { RealApp, Users, whyNoRealApps } from './real-app.ts';

const skip = await whyNoRealApps();

const SCRIPT = 'exec gunicorn --workers 3 --preload --bind 0.0.0.0:8080 ledger:app';
/** As SQLite itself tells, from a process of its own. */
const query = (sql: string) =>
  `python3 -c 'import sqlite3; print(*[row[0] for row in sqlite3.connect("/data/ledger.db").execute("${sql}")], sep="\\n")'`;

t.test(
  'a Python app under gunicorn writes to SQLite on a volume while it is moved',
  { skip, timeout: 170_000 },
  async (t) => {
    const app = await RealApp.open({ script: SCRIPT, run: ['--volume', 'ledger:/data'] });
    try {
      const workers = () => app.inside('pgrep -x gunicorn | sort -n | tr "\\n" " "');
      const before = await workers();
      const acknowledged: string[] = [];
      const users = new Users(6, async (user, nth) => {
        const name = `${user}-${nth}`;
        await app.ask(`/?${name}`, { method: 'POST' });
        acknowledged.push(name);
      });
      for (const strategy of [Strategy.preCopy, Strategy.hybrid]) {
        await users.doMore(60);
        const ended = await app.move(strategy);
        t.equal(ended.outcome, 'succeeded', `${strategy}: ${ended.error?.message ?? 'as ordered'}`);
        await users.doMore(60);
        t.equal(await workers(), before, 'the same workers go on');
      }
      await users.end();
      t.same(users.failures, [], 'every entry was acknowledged');
      t.equal(await app.inside(query('pragma integrity_check')), 'ok');
      const entries = (await app.inside(query('select name from entries'))).split('\n');
      t.same(entries.sort(), acknowledged.sort(), 'the volume has every entry, each once');
      await app.restart();
      t.equal(await app.inside(query('select count(*) from entries')), String(entries.length));
    } finally {
      if (!t.passing()) t.comment(app.logs());
      await app.close();
    }
  },
);
