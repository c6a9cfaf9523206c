import t from 'tap';
import { blackoutChart } from '../../../bench/migrate/chart.ts';
import { groupsOf } from '../../../bench/migrate/groups.ts';
import { cellOf, measurement } from './made-up.ts';

const fast = cellOf(256, '1gbit');
const widths = (svg: string) =>
  [...svg.matchAll(/<rect [^>]*width="([\d.]+)"/g)].map(([, width]) => Number(width));
const texts = (svg: string) => [...svg.matchAll(/<text[^>]*>([^<]*)</g)].map(([, text]) => text);

t.test('a bar is drawn for each approach that was measured, on one scale for all cells', async (t) => {
  const svg = blackoutChart(
    groupsOf([
      measurement(fast, 'runc', { blackoutMs: 10_000 }),
      measurement(fast, 'pre-copy', { blackoutMs: 1_000 }),
      measurement(cellOf(64, '1gbit'), 'pre-copy', { blackoutMs: 100 }),
    ]),
    'a machine',
  );
  const [plain = 0, own = 0, small = 0] = widths(svg);
  t.ok(Math.abs(plain - own - (own - small)) < 1, 'tenfold is as long anywhere');
  t.ok(plain > own && own > small);
  for (const text of ['10,000 ms', '1,000 ms', '100 ms', 'a machine', 'Holdfast pre-copy']) {
    t.ok(texts(svg).includes(text), text);
  }
});

t.test('it stays within its own frame, and is well-formed', async (t) => {
  const svg = blackoutChart(
    groupsOf([
      measurement(fast, 'runc', { blackoutMs: 90_000 }),
      measurement(fast, 'runc', { blackoutMs: 7 }),
    ]),
    'a <b> & c',
  );
  const [, width = '0', height = '0'] = /width="(\d+)" height="(\d+)"/.exec(svg) ?? [];
  for (const [, name = '', value = ''] of svg.matchAll(/\b(x|x1|x2|y|y1|y2)="(-?[\d.]+)"/g)) {
    const most = Number(name.startsWith('x') ? width : height);
    t.ok(Number(value) >= 0 && Number(value) <= most, `${name}=${value}`);
  }
  t.match(svg, /a &lt;b&gt; &amp; c/);
  t.equal([...svg.matchAll(/<text/g)].length, [...svg.matchAll(/<\/text>/g)].length);
  t.ok(svg.startsWith('<svg ') && svg.endsWith('</svg>\n'));
});

t.test('it can be read on a light ground and on a dark one', async (t) => {
  t.match(blackoutChart(groupsOf([measurement(fast, 'runc')]), ''), /prefers-color-scheme: dark/);
});

t.test('nothing measured makes an empty chart, not a broken one', async (t) => {
  t.notMatch(blackoutChart([], ''), /NaN|Infinity/);
});
