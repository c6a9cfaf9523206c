import t from 'tap';
import { Bench } from '../../../bench/migrate/bench.ts';
import { MemoryKind } from '../../../bench/migrate/cell.ts';
import { whyNoLab } from '../../lab/needs-lab.ts';

t.test(
  'a small app is moved by hand and by a strategy, and both are seen alike',
  {
    skip: await whyNoLab(),
  },
  async (t) => {
    const said: string[] = [];
    const cell = { memoryMib: 8, dirtyMibPerS: 4, kind: MemoryKind.sessions, link: { rateBps: 1e9 } };
    const bench = new Bench(
      { tasks: [{ cell, approaches: ['runc', 'stop-and-copy'] }], rounds: 1, gate: 'built-in', json: false },
      AbortSignal.timeout(150_000),
      (line = '') => said.push(line),
    );
    try {
      t.equal(await bench.run(), 0, 'nothing is left out without a budget');
    } finally {
      await bench.close();
    }
    t.same(bench.failures, []);
    const [plain, own] = bench.measurements;
    t.match(plain, { approach: 'runc', frozenMs: null, lost: 0, duplicated: 0 });
    t.match(own, { approach: 'stop-and-copy', strategy: 'stop-and-copy', failed: 0, lost: 0, duplicated: 0 });
    for (const one of [plain, own]) {
      if (one === undefined) throw new Error('a measurement is missing');
      t.ok(one.requests > 0);
      t.ok(one.bytesSent > 1 << 20, `${one.bytesSent} bytes between the hosts`);
      t.ok(one.blackoutMs > 0);
    }
    t.ok((own?.frozenMs ?? 0) > 0);
    t.ok((own?.predicted?.frozenMs ?? 0) > 0, 'and it was foretold');
    t.match(Object.keys(bench.versions).sort(), ['criu', 'node', 'runc']);
    t.equal(said.filter((line) => line.startsWith('1/1  8 MiB')).length, 2);
  },
);
