import t from 'tap';
import type { Run } from '../../../bench/migrate/measurement.ts';
import { aheadTable, cellTables } from '../../../bench/migrate/report.ts';
import { cellOf, measurement } from './made-up.ts';

const fast = cellOf(256, '1gbit');
const slow = cellOf(256, '100mbit,20ms');
const run = (by: Partial<Run> = {}): Run => ({ measurements: [], failures: [], unavailable: {}, ...by });

t.test('each cell has a table of its own, with medians and their spread', async (t) => {
  const text = cellTables(
    run({
      measurements: [
        measurement(fast, 'runc', { blackoutMs: 1_000 }),
        measurement(fast, 'runc', { blackoutMs: 1_200 }),
        measurement(fast, 'runc', { blackoutMs: 3_000 }),
        measurement(slow, 'pre-copy', { frozenMs: 200 }),
      ],
    }),
  );
  t.match(text, /^256 MiB, 20 MiB\/s dirty, 1gbit\n/);
  t.match(text, /\n\n256 MiB, 20 MiB\/s dirty, 100mbit,20ms\n/);
  t.match(text, /runc checkpoint, tar, restore +3 .* 1,200 \[1,000–3,000\]/);
  t.match(text, /Holdfast pre-copy +1 +200 +–/);
});

t.test('what cannot be had, and what failed, is said in its place', async (t) => {
  const text = cellTables(
    run({
      measurements: [measurement(fast, 'runc')],
      failures: [{ cell: slow, approach: 'podman', round: 1, reason: 'no' }],
      unavailable: { 'podman-pre': 'not available: no CONFIG_MEM_SOFT_DIRTY' },
    }),
  );
  t.match(text, /podman with --pre-checkpoint: not available: no CONFIG_MEM_SOFT_DIRTY/);
  t.match(text, /100mbit,20ms\npodman checkpoint --export: not measured 1 times/);
});

t.test('it is said which strategy auto took', async (t) => {
  const text = cellTables(run({ measurements: [measurement(fast, 'auto', { strategy: 'pre-copy' })] }));
  t.match(text, /Holdfast auto → pre-copy/);
});

t.test('what sending ahead costs the app is a table of its own, of those that did', async (t) => {
  t.equal(aheadTable(run({ measurements: [measurement(fast, 'runc')] })), '');
  const ahead = { durationMs: 1_500, p99BeforeMs: 3, p99Ms: 5.5, agentCores: 0.8 };
  const text = aheadTable(run({ measurements: [measurement(fast, 'pre-copy', { ahead })] }));
  t.match(text, /Holdfast pre-copy +1,500 +3 +5\.5 +2\.5 +0\.8/);
});
