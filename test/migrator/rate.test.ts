import t from 'tap';
import { parseRateBps } from '../../migrator/rate.ts';

t.test('rates are written in bits or in bytes, and say which', async (t) => {
  t.equal(parseRateBps('200mbit'), 200e6);
  t.equal(parseRateBps('1gbit'), 1e9);
  t.equal(parseRateBps('10Gbit/s'), 10e9);
  t.equal(parseRateBps('25MB/s'), 200e6);
  t.equal(parseRateBps('1GB/s'), 8e9);
});

t.test('what could be meant in two ways, or is next to nothing, is no rate', async (t) => {
  for (const text of [
    '',
    '200',
    '200m',
    '200M',
    '25mbps',
    '25MB',
    '25MiB/s',
    '500kbit',
    '0mbit',
    '-1mbit',
    '1.5gbit',
    '1 gbit',
    '1gbit;',
  ])
    t.equal(parseRateBps(text), undefined, JSON.stringify(text));
});
