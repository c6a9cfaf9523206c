import t from 'tap';
import { Strategy } from '../../migrator/events.ts';
import { RealApp, Users, whyNoRealApps } from './real-app.ts';
import { eventually } from './scene.ts';

const skip = await whyNoRealApps();

const FILES = [1_000, 20_000, 60_000];
/** A file of so many lines: `seq` makes it there, and its content is known here. */
const fileOf = (lines: number) => Array.from({ length: lines }, (_, nth) => `${nth + 1}\n`).join('');
const SCRIPT = [
  'mkdir -p /var/www/files',
  ...FILES.map((lines) => `seq ${lines} >/var/www/files/${lines}`),
  'exec nginx -c /srv/nginx.conf',
].join('\n');

t.test('nginx with several workers serves files while it is moved', { skip, timeout: 170_000 }, async (t) => {
  const app = await RealApp.open({ script: SCRIPT });
  try {
    const contents = new Map(FILES.map((lines) => [lines, fileOf(lines)]));
    const workers = () => app.inside('pgrep -x nginx | sort -n | tr "\\n" " "');
    const before = await workers();
    t.equal(before.trim().split(' ').length, 4, 'a master and three workers');
    const answered: string[] = [];
    const users = new Users(6, async (user, nth) => {
      const lines = FILES[nth % FILES.length] ?? 0;
      const name = `${user}-${nth}`;
      const file = await app.ask(`/${lines}?n=${name}`);
      if (file !== contents.get(lines)) throw new Error(`${lines} came with ${file.length} characters`);
      answered.push(name);
    });
    for (const strategy of [Strategy.preCopy, Strategy.hybrid]) {
      await users.doMore(60);
      const ended = await app.move(strategy);
      t.equal(ended.outcome, 'succeeded', `${strategy}: ${ended.error?.message ?? 'as ordered'}`);
      await users.doMore(60);
      t.equal(await workers(), before, 'the same processes go on');
    }
    await users.end();
    t.same(users.failures, [], 'every file came, and whole');
    // A worker notes down what it has answered already.
    let asked: string[] = [];
    await eventually('the last lines of the log', async () => {
      asked = (await app.inside('cat /var/log/nginx/asked.log')).split('\n');
      return asked.length >= answered.length;
    });
    t.same(asked.sort(), answered.sort(), 'its log has every request that was answered, each once');
    await t.rejects(app.ask('/absent'), /404/);
    t.match(await app.logged(), '"/var/www/files/absent" failed', 'docker logs has what it says');
  } finally {
    if (!t.passing()) t.comment(app.logs());
    await app.close();
  }
});
