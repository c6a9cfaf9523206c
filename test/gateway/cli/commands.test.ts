import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { createProgram } from '../../../gateway/cli/program.ts';
import { packageVersion } from '../../../gateway/version.ts';
import { toyFleet } from '../admin/toy-fleet.ts';
import { gateway } from './run.ts';

t.test('the help lists every command, and the version is the package’s', async (t) => {
  const help = await gateway(['--help']);
  t.equal(help.code, 0);
  for (const name of [
    'serve',
    'check',
    'haproxy',
    'migrate',
    'apps',
    'status',
    'start',
    'stop',
    'agent',
    'pki',
  ]) {
    t.match(help.stdout, new RegExp(`^  ${name} `, 'm'));
  }
  const version = await gateway(['--version']);
  t.match(version, { code: 0, stdout: `${packageVersion()}\n` });
});

t.test('commands that are only listed are described as they describe themselves', async (t) => {
  const listed = await createProgram([]);
  const whole = await createProgram(['agent', 'pki']);
  const told = (program: typeof listed) =>
    program.commands.map((each) => `${each.name()}: ${each.description()}`);
  t.same(told(listed), told(whole));
});

t.test('what is not understood exits 2 and says why', async (t) => {
  t.match(await gateway(['frobnicate']), {
    code: 2,
    stderr: /^gateway: USAGE: unknown command 'frobnicate'\n/,
  });
  t.match(await gateway(['migrate', 'shop']), { code: 2, stderr: /required option '--to <host>'/ });
});

t.test('a gateway that is not there is named, with what to do', async (t) => {
  const { code, stdout, stderr } = await gateway(['apps'], { HOLDFAST_ADMIN: 'http://127.0.0.1:1' });
  t.equal(code, 1);
  t.equal(stdout, '');
  t.match(stderr, /^gateway: GATEWAY_UNREACHABLE: .*http:\/\/127.0.0.1:1\n {2}see that gateway serve runs/);
});

t.test('check tells whether a configuration is valid, and which line is not', async (t) => {
  const file = join(t.testdir(), 'gateway.yaml');
  await writeFile(file, 'apps:\n  blog:\n    match: [{path: /}]\n    upstream: http://127.0.0.1:1\n');
  t.match(await gateway(['check', '-c', file]), { code: 0, stdout: `${file} is valid: hosts 0, apps 1\n` });
  await writeFile(file, 'listn: 0.0.0.0:80\n');
  const bad = await gateway(['check', '-c', file]);
  t.match(bad, { code: 1, stderr: `gateway: CONFIG_INVALID: ${file}:1: unknown key "listn"` });
  const json = await gateway(['check', '-c', file, '--json']);
  t.match(JSON.parse(json.stdout), { valid: false, error: { code: 'CONFIG_INVALID' } });
  t.equal(json.code, 1);
});

t.test('apps and status show where everything runs', async (t) => {
  const { url, world } = await toyFleet(t);
  world.away.add('b');
  const apps = await gateway(['apps', '--admin', url]);
  t.match(apps.stdout, /^APP +HOST +URL +GATE +IN FLIGHT +HELD +MIGRATION\n/);
  t.match(apps.stdout, /^shop +a +http:\/\/127.0.0.1:3000 +open +0 +0 +-$/m);
  t.match(apps.stdout, /^blog +\(upstream\) +http:\/\/127.0.0.1:3 /m);
  const status = await gateway(['status', '--admin', url]);
  t.match(status.stdout, /^a +https:\S+ +up, version 0.1.0$/m);
  t.match(status.stdout, /^b +https:\S+ +does not answer$/m);
  const json = await gateway(['status', '--json', '--admin', url]);
  t.match(JSON.parse(json.stdout), { version: '0.1.0', apps: [{ app: 'shop' }, { app: 'blog' }] });
});

t.test('an app is stopped and started', async (t) => {
  const { url, world } = await toyFleet(t);
  t.match(await gateway(['stop', 'shop', '--admin', url]), { code: 0, stdout: 'shop was stopped\n' });
  t.same(world.running(), []);
  t.match(await gateway(['start', 'shop', '--on', 'b', '--admin', url]), {
    code: 0,
    stdout: 'shop runs on b at http://127.0.0.1:3000\n',
  });
  t.match(await gateway(['start', 'shop', '--on', 'a', '--admin', url]), {
    code: 2,
    stderr:
      /^gateway: ALREADY_RUNNING: shop runs on b already\n {2}move it with: gateway migrate shop --to a\n$/,
  });
});

t.test('the token is read from a file', async (t) => {
  const { url } = await toyFleet(t, { token: 'sesame' });
  const file = join(t.testdir(), 'token');
  await writeFile(file, 'sesame\n');
  t.match(await gateway(['apps', '--admin', url]), { code: 2, stderr: /^gateway: TOKEN_REQUIRED: / });
  t.equal((await gateway(['apps', '--admin', url, '--token-file', file])).code, 0);
  t.equal((await gateway(['apps'], { HOLDFAST_ADMIN: url, HOLDFAST_TOKEN_FILE: file })).code, 0);
});
