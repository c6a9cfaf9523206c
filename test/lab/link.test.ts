import t from 'tap';
import { formatLink, parseLink } from './link.ts';

t.test('a link is read from a bandwidth, a delay or both', async (t) => {
  t.same(parseLink('1gbit,5ms'), { rateBps: 1e9, delayMs: 5 });
  t.same(parseLink('100mbit'), { rateBps: 1e8 });
  t.same(parseLink('512kbit'), { rateBps: 512_000 });
  t.same(parseLink('0.5ms'), { delayMs: 0.5 });
  t.same(parseLink('unlimited'), {});
});

t.test('a link that makes no sense is refused with an example of one that does', async (t) => {
  for (const text of ['', 'fast', '1gbit,1gbit', '5ms,5ms', '0mbit', '100', '1gbit;5ms', '999999ms']) {
    t.throws(() => parseLink(text), { code: 'LAB_BAD_LINK', mend: /1gbit,5ms/ }, text);
  }
});

t.test('a link is written as it is read', async (t) => {
  for (const text of ['1gbit,5ms', '100mbit', '2.5mbit,0.5ms', '20ms', 'unlimited']) {
    t.equal(formatLink(parseLink(text)), text);
  }
});
