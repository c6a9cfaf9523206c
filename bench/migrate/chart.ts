import { AUTO } from '../../migrator/events.ts';
import { figure } from '../table.ts';
import { approaches, strategyKeys } from './approach.ts';
import { cellName, sameCell } from './cell.ts';
import { cellsOf, type Group, spreadIn } from './groups.ts';

const WIDTH = 860;
const LABELS = 250;
const PLOT = WIDTH - LABELS - 130;
const BAR = 14;
const ROW = 22;
const HEAD = 78;
const CELL_HEAD = 30;
const FOOT = 30;

/** Mid-tones that stand out on white and on near-black; text takes the scheme of whoever looks. */
const STYLE = `
  text { font: 12px system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; fill: #59636e }
  .title { font-size: 16px; font-weight: 600 }
  .cell { font-weight: 600 }
  .grid { stroke: #8b949e; stroke-opacity: .35 }
  .whisker { stroke: #59636e; stroke-width: 1.5 }
  .plain { fill: #9a8c98 }
  .own { fill: #2f81f7 }
  .auto { fill: #1a9c77 }
  @media (prefers-color-scheme: dark) { text { fill: #c9d1d9 } .whisker { stroke: #c9d1d9 } }`;

/**
 * Blackouts as bars, a block for each cell, on one logarithmic scale: they lie three orders of magnitude apart. A bar
 * is the median, its whisker goes from the least to the greatest.
 */
export function blackoutChart(groups: readonly Group[], measuredOn: string): string {
  const spreads = groups.flatMap((group) => {
    const spread = spreadIn(group, ({ blackoutMs }) => blackoutMs);
    return spread === null ? [] : [{ ...group, spread }];
  });
  const scale = scaleFor(spreads.flatMap(({ spread }) => [spread.least, spread.greatest]));
  const body: string[] = [];
  let y = HEAD;
  for (const cell of cellsOf(spreads)) {
    y += CELL_HEAD;
    body.push(text(LABELS, y - 10, cellName(cell), 'cell'));
    for (const { key, title } of approaches) {
      const one = spreads.find((spread) => spread.approach === key && sameCell(spread.cell, cell));
      if (one === undefined) continue;
      const { median, least, greatest } = one.spread;
      const middle = y + ROW / 2;
      body.push(
        text(LABELS - 8, middle + 4, title, 'label', 'end'),
        `<rect class="${colour(key)}" x="${LABELS}" y="${middle - BAR / 2}" width="${round(Math.max(1, scale.at(median)))}" height="${BAR}" rx="2"/>`,
        `<line class="whisker" x1="${round(LABELS + scale.at(least))}" x2="${round(LABELS + scale.at(greatest))}" y1="${middle}" y2="${middle}"/>`,
        text(LABELS + scale.at(greatest) + 8, middle + 4, `${figure(Math.round(median))} ms`),
      );
      y += ROW;
    }
  }
  const height = y + FOOT;
  const grid = scale.ticks.flatMap((ms) => [
    `<line class="grid" x1="${round(LABELS + scale.at(ms))}" x2="${round(LABELS + scale.at(ms))}" y1="${HEAD}" y2="${y}"/>`,
    text(LABELS + scale.at(ms), HEAD - 6, ms < 1000 ? `${ms} ms` : `${figure(ms / 1000)} s`, '', 'middle'),
  ]);
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${height}" viewBox="0 0 ${WIDTH} ${height}" role="img" aria-labelledby="title">`,
    `<title id="title">Blackout of a move, by approach</title>`,
    `<style>${STYLE}\n</style>`,
    text(
      16,
      26,
      'How long nobody is served while an app moves (logarithmic; median, least to greatest)',
      'title',
    ),
    text(16, 46, measuredOn),
    ...grid,
    ...body,
    '</svg>\n',
  ].join('\n');
}

function scaleFor(valuesMs: readonly number[]): { at: (ms: number) => number; ticks: number[] } {
  // Half the shortest, so that its bar is one, too.
  const least = Math.max(2, Math.min(...valuesMs, 100)) / 2;
  const greatest = Math.max(...valuesMs, 1_000);
  const first = Math.floor(Math.log10(least));
  const last = Math.log10(greatest);
  const at = (ms: number) => (PLOT * Math.max(0, Math.log10(Math.max(ms, 1)) - first)) / (last - first);
  const ticks: number[] = [];
  for (let power = first; power <= last; power += 1) {
    for (const step of [1, 3]) if (step * 10 ** power <= greatest) ticks.push(step * 10 ** power);
  }
  return { at, ticks };
}

function colour(key: string): string {
  if (key === AUTO) return 'auto';
  return strategyKeys.includes(key) ? 'own' : 'plain';
}

function text(x: number, y: number, content: string, kind = '', anchor = 'start'): string {
  const escaped = content.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
  const kindOf = kind === '' ? '' : ` class="${kind}"`;
  return `<text${kindOf} x="${round(x)}" y="${round(y)}" text-anchor="${anchor}">${escaped}</text>`;
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}
