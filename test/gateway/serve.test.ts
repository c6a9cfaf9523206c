import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { createServer, type RequestListener, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { finished, spawnGateway } from './cli/run.ts';

async function upstream(t: Test, answer: RequestListener): Promise<string> {
  const server = createServer(answer).listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

async function configFile(t: Test, text: string): Promise<string> {
  const file = join(t.testdir(), 'gateway.yaml');
  await writeFile(file, text);
  return file;
}

/** The addresses a gateway says it is ready at. */
function whenReady(child: ChildProcess): Promise<{ url: string; admin: string }> {
  let text = '';
  return new Promise((resolve, reject) => {
    child.stdout?.on('data', (chunk) => {
      text += chunk;
      const line = text.split('\n').find((each) => each.includes('the gateway is ready'));
      if (line !== undefined) resolve(JSON.parse(line));
    });
    child.once('close', () => reject(new Error(`the gateway was never ready: ${text}`)));
  });
}

function statusAt(url: string, host: string): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    request(url, { headers: { host } }, (response) => resolve(response.resume().statusCode))
      .on('error', reject)
      .end();
  });
}

const onFreePorts = (upstreamUrl: string) => `
listen: 127.0.0.1:0
admin: {listen: "127.0.0.1:0"}
stateDir: state
apps:
  blog:
    match: [{path: /}]
    upstream: ${upstreamUrl}
`;

t.test(
  'a gateway serves traffic and its admin API, and finishes what is in flight when told to stop',
  async (t) => {
    let answer = () => {};
    const asked = new Promise<void>((resolve) => {
      answer = resolve;
    });
    const url = await upstream(t, async (request, response) => {
      if (request.url === '/slow') {
        answer();
        await stopping;
      }
      response.end(`hello from ${request.url}`);
    });
    let goOn = () => {};
    const stopping = new Promise<void>((resolve) => {
      goOn = resolve;
    });
    const child = spawnGateway(['serve', '-c', await configFile(t, onFreePorts(url))]);
    t.teardown(() => child.kill('SIGKILL'));
    const ready = await whenReady(child);
    const ended = finished(child);
    t.equal(await (await fetch(`${ready.url}/page`)).text(), 'hello from /page');
    t.same(await (await fetch(`${ready.admin}/healthz`)).json(), { status: 'ok' });
    t.match(
      await (await fetch(`${ready.admin}/metrics`)).text(),
      'holdfast_requests_total{app="blog",method="GET",code="200"} 1',
    );
    const slow = fetch(`${ready.url}/slow`);
    await asked;
    child.kill('SIGHUP');
    child.kill('SIGTERM');
    goOn();
    t.equal(await (await slow).text(), 'hello from /slow');
    t.match(await ended, { code: 0, stderr: '' });
  },
);

t.test('an address that is taken is one clear line', async (t) => {
  const url = await upstream(t, (_request, response) => response.end());
  const taken = new URL(url).host;
  const file = await configFile(t, onFreePorts(url).replace('127.0.0.1:0', taken));
  const { code, stderr } = await finished(spawnGateway(['serve', '-c', file]));
  t.equal(code, 1);
  t.match(stderr, `gateway: ADDRESS_IN_USE: something listens on ${taken} already\n  stop it, or`);
  t.equal(stderr.trim().split('\n').length, 2);
});

t.test(
  'an app nobody has seen is answered 503, and does not keep the others from being served',
  async (t) => {
    const url = await upstream(t, (_request, response) => response.end('hello'));
    const dir = t.testdir();
    const text = `${onFreePorts(url)}
  shop:
    match: [{host: shop.example.com}]
    container: shop
hosts: {a: {agent: "https://127.0.0.1:1"}}
tls: {ca: ca.pem, cert: ca.pem, key: ca.pem}
`;
    await writeFile(join(dir, 'ca.pem'), '');
    await writeFile(join(dir, 'gateway.yaml'), text);
    const child = spawnGateway(['serve', '-c', join(dir, 'gateway.yaml')]);
    t.teardown(() => child.kill('SIGKILL'));
    const { url: front, admin } = await whenReady(child);
    const ended = finished(child);
    t.equal(await statusAt(front, 'blog.example.com'), 200);
    t.equal(await statusAt(front, 'shop.example.com'), 503);
    const { apps } = (await (await fetch(`${admin}/v1/apps`)).json()) as { apps: object[] };
    t.match(apps, [{ app: 'blog' }, { app: 'shop', kind: 'container' }]);
    child.kill('SIGTERM');
    t.match(await ended, { code: 0 });
  },
);
