import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { loadGatewayConfig, parseGatewayConfig } from '../../../gateway/config/load.ts';

const WHOLE = `
listen: 0.0.0.0:8080
stateDir: state
tls: {ca: ca.pem, cert: /etc/holdfast/cert.pem, key: key.pem}
hosts:
  a: {agent: "https://10.0.0.2:7443"}
  b: {agent: "https://10.0.0.3:7443", address: 10.0.1.3}
apps:
  shop:
    match: [{host: shop.example.com, path: /}]
    container: shop
  blog:
    match: [{host: blog.example.com}]
    upstream: http://10.0.0.9:8080
`;

function refusal(text: string): string {
  try {
    parseGatewayConfig(text, 'gateway.yaml');
  } catch (error) {
    return `${(error as { code: string }).code} ${(error as Error).message}`;
  }
  return 'accepted';
}

t.test('a whole configuration is read, with every default filled in', async (t) => {
  const config = parseGatewayConfig(WHOLE, '/etc/holdfast/gateway.yaml');
  t.equal(config.admin.listen, '127.0.0.1:9100');
  t.same(config.apps.shop?.hold, {
    maxRequests: 10_000,
    maxBytes: 134_217_728,
    maxMs: 30_000,
    drainTimeoutMs: 5_000,
    releaseConcurrency: 64,
    upgrades: 'wait',
  });
  t.equal(config.timeouts.connectMs, 5_000);
});

t.test('relative file names are taken from where the configuration lies', async (t) => {
  const config = parseGatewayConfig(WHOLE, '/etc/holdfast/gateway.yaml');
  t.equal(config.stateDir, '/etc/holdfast/state');
  t.same(config.tls, {
    ca: '/etc/holdfast/ca.pem',
    cert: '/etc/holdfast/cert.pem',
    key: '/etc/holdfast/key.pem',
  });
});

t.test('a file that is not there is named', async (t) => {
  await t.rejects(loadGatewayConfig('/nowhere/gateway.yaml'), { code: 'CONFIG_UNREADABLE' });
});

t.test('an unknown key names its line', async (t) => {
  const file = join(t.testdir(), 'gateway.yaml');
  await writeFile(file, 'listen: 0.0.0.0:80\napps:\n  shop:\n    match: [{path: /}]\n    containr: shop\n');
  await t.rejects(loadGatewayConfig(file), {
    code: 'CONFIG_INVALID',
    message: `${file}:5: unknown key "containr" in apps.shop`,
  });
});

t.test('an app with both a container and an upstream, or neither, is refused with its line', async (t) => {
  const text = 'apps:\n  one:\n    match: [{path: /}]\n';
  t.equal(
    refusal(text),
    'CONFIG_INVALID gateway.yaml:2: apps.one must have exactly one of container, upstream',
  );
});

t.test('two apps on one container are refused with the line of the second', async (t) => {
  const text = `${WHOLE}  shop2:\n    match: [{host: b.example.com}]\n    container: shop\n`;
  t.match(refusal(text), 'gateway.yaml:17: apps.shop2.container: shop already is the container of shop');
});

t.test('two apps on one route are refused', async (t) => {
  const text = `${WHOLE}  shop2:\n    match:\n      - {host: SHOP.example.com}\n    upstream: http://h\n`;
  t.match(refusal(text), 'gateway.yaml:17: apps.shop2.match.0: shop.example.com/ already leads to shop');
});

t.test('hosts without tls, and containers without hosts, are refused', async (t) => {
  t.match(refusal('hosts:\n  a: {agent: "https://h:1"}\n'), 'gateway.yaml:1: tls is missing');
  t.match(refusal('apps:\n  a:\n    match: [{path: /}]\n    container: c\n'), 'there are no hosts');
});

t.test('upgraded connections that HAProxy carries cannot be closed by a hold', async (t) => {
  const app = 'apps:\n  a:\n    match: [{path: /}]\n    upstream: http://h\n    hold: {upgrades: close}\n';
  t.equal(refusal(app), 'accepted');
  t.match(
    refusal(`${app}gate:\n  type: haproxy\n  sockets: [/a.sock]\n`),
    /gateway.yaml:5: apps.a.hold.upgrades: HAProxy carries them itself/,
  );
});

t.test('a name that could not be in a URL or a label is refused', async (t) => {
  t.match(
    refusal('apps:\n  Shop:\n    match: [{path: /}]\n    upstream: http://h\n'),
    'gateway.yaml:2: apps.Shop: a name is lower-case',
  );
});

t.test('one address for traffic and admin is refused', async (t) => {
  t.match(
    refusal('listen: 127.0.0.1:80\nadmin:\n  listen: 127.0.0.1:80\n'),
    'gateway.yaml:3: admin.listen: 127.0.0.1:80 is also',
  );
  t.match(refusal('listen: 127.0.0.1:99999\n'), 'with a port up to 65535');
});

t.test('an admin API that others can reach needs a token', async (t) => {
  t.match(refusal('admin:\n  listen: 0.0.0.0:9100\n'), 'ADMIN_NEEDS_TOKEN gateway.yaml:2');
  t.equal(refusal('admin:\n  listen: 0.0.0.0:9100\n  tokenFile: t\n'), 'accepted');
  t.equal(refusal('admin:\n  listen: "[::1]:9100"\n'), 'accepted');
});

t.test('what is wrong with the gate is told with its line', async (t) => {
  const apps = 'apps:\n  blog: {match: [{path: /}], upstream: "http://10.0.0.9:8080"}\n';
  const gate = (text: string) => refusal(`${apps}gate:\n${text}`);
  t.equal(gate('  type: haproxy\n  sockets: [/run/haproxy-master.sock, "127.0.0.1:9999"]\n'), 'accepted');
  t.match(gate('  type: nginx\n'), /^CONFIG_INVALID gateway.yaml:4: /);
  t.match(gate('  type: haproxy\n'), /gateway.yaml:4: gate.sockets is missing/);
  t.match(
    gate('  sockets: [/run/haproxy-master.sock]\n'),
    /gateway.yaml:4: gate.sockets: .* gate.type is built-in/,
  );
  t.match(
    gate('  type: haproxy\n  sockets:\n    - /a.sock\n    - /a.sock\n'),
    /gateway.yaml:7: .* there twice/,
  );
  t.match(gate('  type: haproxy\n  sockets: ["localhost:99999"]\n'), /gateway.yaml:5: .*localhost:99999/);
  t.match(gate('  type: haproxy\n  sockets: [admin.sock]\n'), /gateway.yaml:5: /);
  t.equal(gate('  type: haproxy\n  optionalSockets: [/a.sock]\n'), 'accepted');
  t.match(gate('  optionalSockets: [/a.sock]\n'), /gateway.yaml:4: gate.optionalSockets: .* built-in/);
  t.match(
    gate('  type: haproxy\n  sockets: [/a.sock]\n  optionalSockets: [/a.sock]\n'),
    /gateway.yaml:6: gate.optionalSockets: .* there twice/,
  );
});

t.test('whoever sends PROXY headers is named by addresses and networks', async (t) => {
  t.equal(refusal('proxyProtocolFrom: [10.0.0.5, 10.1.0.0/16, "::1", "fd00::/8"]\n'), 'accepted');
  for (const wrong of ['haproxy.internal', '10.0.0.0/33', '10.0.0', '::1/129', '1.2.3.4/']) {
    t.match(refusal(`proxyProtocolFrom:\n  - "${wrong}"\n`), `gateway.yaml:2: proxyProtocolFrom: ${wrong}`);
  }
});
