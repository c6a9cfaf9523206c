import t from 'tap';
import { publishedAt } from '../../../../migrator/engine/docker/published.ts';
import type { Inspected } from '../../../../migrator/engine/docker/settings/inspected.ts';
import { type Changes, inspected } from './settings/recorded.ts';

const at = (changes: Changes) => publishedAt(inspected(changes) as unknown as Inspected);
const bound = (HostPort: string, HostIp = '0.0.0.0') => ({ HostIp, HostPort });

t.test('one published port is reached at the host itself', async (t) => {
  t.same(at({ ports: { '80/tcp': [bound('8080'), bound('8080', '::')] } }), {
    port: 8080,
    address: '127.0.0.1',
  });
});

t.test('one that is published at an address is reached there', async (t) => {
  t.same(at({ ports: { '80/tcp': [bound('8080', '10.0.0.7')] } }), { port: 8080, address: '10.0.0.7' });
});

t.test('of one that does not run it is what was asked for', async (t) => {
  const hostConfig = { PortBindings: { '80/tcp': [bound('8080', '')] } };
  t.same(at({ hostConfig }), { port: 8080, address: '127.0.0.1' });
});

t.test('it cannot be told where none or several are published, or Docker is to choose', async (t) => {
  t.equal(at({}), undefined);
  t.equal(at({ ports: { '80/tcp': null } }), undefined, 'exposed only');
  t.equal(at({ ports: { '53/udp': [bound('53')] } }), undefined, 'not TCP');
  t.equal(at({ ports: { '80/tcp': [bound('8080')], '443/tcp': [bound('8443')] } }), undefined);
  t.equal(at({ hostConfig: { PortBindings: { '80/tcp': [bound('')] } } }), undefined);
  t.equal(at({ hostConfig: { PortBindings: { '80/tcp': [bound('8000-8010')] } } }), undefined);
});
