import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { gateway } from './run.ts';

/** A configuration of the gateway, and the haproxy.cfg that is printed for it. */
async function printed(t: Test) {
  const dir = t.testdir({ 'holdfast.map': '' });
  const [config, file] = [join(dir, 'gateway.yaml'), join(dir, 'haproxy.cfg')];
  await writeFile(
    config,
    `gate: {type: haproxy, sockets: [/run/haproxy-master.sock], map: ${join(dir, 'holdfast.map')}}
apps:
  blog: {match: [{path: /}], upstream: "http://127.0.0.1:1"}
`,
  );
  const { stdout } = await gateway(['haproxy', 'config', '-c', config]);
  await writeFile(file, stdout);
  return { config, file, text: stdout };
}

t.test('what haproxy config prints passes haproxy check', async (t) => {
  const { config, file } = await printed(t);
  const { code, stdout } = await gateway(['haproxy', 'check', file, '-c', config]);
  t.equal(stdout, `${file}: nothing that Holdfast needs is missing\n`);
  t.equal(code, 0);
});

t.test('haproxy check names the lines that are missing, with their place', async (t) => {
  const { config, file, text } = await printed(t);
  await writeFile(file, text.replace(/ {2}server app .*\n/, ''));
  const args = ['haproxy', 'check', file, '-c', config, '--no-haproxy'];
  const line = text.split('\n').findIndex((one) => one.startsWith('  server app')) + 1;
  const told = await gateway(args);
  t.equal(told.code, 1);
  t.match(told.stdout, /in backend holdfast_app_blog is missing:\n {4}server app 127.0.0.1:1 check/);
  t.match(told.stdout, /haproxy.cfg: to be changed: 1\n$/);
  const { code, stdout } = await gateway([...args, '--json']);
  t.equal(code, 1);
  const { findings, ...rest } = JSON.parse(stdout);
  t.same(rest, { file, valid: false, haproxy: null });
  t.match(findings, [{ weight: 'required', kind: 'missing', section: 'backend holdfast_app_blog' }]);
  t.ok(findings[0].line <= line);
});

t.test('advice alone is no failure', async (t) => {
  const { config, file, text } = await printed(t);
  await writeFile(file, text.replace(/ {2}timeout tunnel .*\n/, ''));
  const told = await gateway(['haproxy', 'check', file, '-c', config, '--no-haproxy']);
  t.match(told, { code: 0, stdout: /advised: in defaults is missing:\n {4}timeout tunnel 1h\n/ });
});

t.test('a file that is not there is named', async (t) => {
  const { config } = await printed(t);
  const told = await gateway(['haproxy', 'check', '/nowhere/haproxy.cfg', '-c', config]);
  t.match(told, { code: 1, stderr: /^gateway: HAPROXY_CONFIG_UNREADABLE: \/nowhere\/haproxy.cfg/ });
});
