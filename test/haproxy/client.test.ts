import type { IncomingMessage } from 'node:http';
import t from 'tap';
import { editions, eventually } from './haproxy.ts';
import { hold, open, startApp, USER } from './scene.ts';

const found = await editions();
const skip = typeof found === 'string' ? found : false;
/** What a client may say of itself, and who is to be believed. */
const LIES = { 'x-forwarded-for': '9.9.9.9', 'X-Forwarded-Proto': 'https', forwarded: 'for=9.9.9.9' };

/** All that an app is told of who asks, doubled entries as well. */
function told({ rawHeaders }: IncomingMessage): string[] {
  const said: string[] = [];
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i]?.toLowerCase() ?? '';
    if (/^(host|x-forwarded-.*|forwarded|via)$/.test(name)) said.push(`${name}: ${rawHeaders[i + 1]}`);
  }
  return said.sort();
}

for (const edition of typeof found === 'string' ? [] : found) {
  for (const proxyProtocol of [false, true]) {
    const how = proxyProtocol ? 'the PROXY protocol' : 'headers';
    t.test(`with ${edition.name} and ${how}, an app is told the same of a client`, { skip }, async (t) => {
      const scene = await open(t, edition, { proxyProtocol });
      const [a, b] = [await startApp(t, 'a'), await startApp(t, 'b')];
      const visit = (path: string) => scene.visit(path, undefined, { headers: LIES });
      scene.gates.setTarget('shop', a.target);
      t.equal(await visit('/by-the-gate'), '200 a');
      await scene.direct();
      t.equal(await visit('/before'), '200 a');
      await hold(scene.gate);
      const held = visit('/held');
      await eventually('it to be held', () => scene.gates.snapshot('shop').heldRequests === 1);
      await scene.gate.release('shop', b.target);
      t.equal(await held, '200 b');
      await scene.direct();
      t.equal(await visit('/after'), '200 b');
      for (const request of [...a.visits, ...b.visits]) {
        t.same(
          told(request),
          [
            'host: shop.example',
            `x-forwarded-for: ${USER}`,
            'x-forwarded-host: shop.example',
            'x-forwarded-proto: http',
          ],
          `${request.url}`,
        );
      }
      t.equal(a.visits.length + b.visits.length, 4);
    });
  }
}
