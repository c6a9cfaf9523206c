import t from 'tap';
import { RouteTable } from '../../../gateway/proxy/routes.ts';

t.test('the most specific host decides, then the longest path of whole segments', async (t) => {
  const table = new RouteTable([
    { app: 'default' },
    { app: 'api', path: '/api/' },
    { app: 'shop', host: 'Shop.example' },
    { app: 'cart', host: 'shop.example', path: '/cart' },
    { app: 'cart-admin', host: 'shop.example', path: '/cart/admin' },
    { app: 'any', host: '*.example' },
    { app: 'deep', host: '*.eu.example' },
    { app: 'only-x', host: 'x.test', path: '/x' },
    { app: 'six', host: '[::1]' },
  ]);
  for (const [host, path, app] of [
    ['nowhere', '/', 'default'],
    ['', '/', 'default'],
    ['nowhere:8080', '/api', 'api'],
    ['nowhere', '/api?x', 'api'],
    ['nowhere', '/apix', 'default'],
    ['SHOP.example:80', '/', 'shop'],
    ['shop.example.', '/cart/1', 'cart'],
    ['shop.example', '/cart/admin/x', 'cart-admin'],
    ['shop.example', '/cartx', 'shop'],
    ['a.b.example', '/', 'any'],
    ['a.eu.example', '/', 'deep'],
    ['example', '/', 'default'],
    ['x.test', '/x/y', 'only-x'],
    ['x.test', '/y', 'default'],
    ['[::1]:8080', '/', 'six'],
  ] as const) {
    t.equal(table.find(host, path), app, `${host}${path}`);
  }
});

t.test('without a default, what no route takes leads nowhere', async (t) => {
  const table = new RouteTable([{ app: 'shop', host: 'shop.example', path: '/shop' }]);
  t.equal(table.find('shop.example', '/other'), undefined);
  t.equal(table.find('other.example', '/shop'), undefined);
});
