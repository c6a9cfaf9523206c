import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { deflateSync } from 'node:zlib';
import t from 'tap';
import { contentOf, fileSizes } from '../../../bench/transfer/app/contents.mjs';
import { run } from '../../../migrator/process.ts';

const script = fileURLToPath(new URL('../../../bench/transfer/app/make-files.mjs', import.meta.url));

t.test('sizes come to what was asked for, most of them small and most bytes in large ones', async (t) => {
  const sizes = fileSizes(2_000, 20_000_000, 1);
  t.equal(
    sizes.reduce((sum, one) => sum + one, 0),
    20_000_000,
  );
  const sorted = sizes.toSorted((a, b) => a - b);
  t.ok((sorted[0] ?? 0) >= 64);
  const median = sorted[1_000] ?? 0;
  t.ok(median > 2_000 && median < 5_000, `the median is ${median}, the mean 10,000`);
  const largest = sorted.slice(-200).reduce((sum, one) => sum + one, 0);
  t.ok(largest > 8_000_000, 'a tenth of the files holds half of the bytes, about');
  t.same(fileSizes(2_000, 20_000_000, 1), sizes, 'the same for the same seed');
});

t.test('contents compress as texts, records and pictures do', async (t) => {
  const share = (nth: number) => deflateSync(contentOf(nth, 100_000, 1), { level: 1 }).length / 100_000;
  t.ok(share(0) > 0.3 && share(0) < 0.6, `text: ${share(0)}`);
  t.ok(share(1) > 0.99, `packed: ${share(1)}`);
  t.ok(share(3) > 0.3 && share(3) < 0.7, `records: ${share(3)}`);
  t.notSame(contentOf(0, 1_000, 1), contentOf(2, 1_000, 1), 'no two are alike');
  t.notSame(contentOf(0, 1_000, 1), contentOf(0, 1_000, 2), 'nor one at two times');
  t.same(contentOf(5, 1_000, 1), contentOf(5, 1_000, 1));
});

t.test('a directory is filled with them', async (t) => {
  const dir = await mkdtemp(path.join(tmpdir(), 'holdfast-files-'));
  t.teardown(() => rm(dir, { recursive: true, force: true }));
  await run(process.execPath, [script, dir, '120', '400000', '3'], { signal: AbortSignal.timeout(60_000) });
  const entries = await readdir(dir, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile());
  t.equal(files.length, 120);
  const contents = await Promise.all(
    files.map(({ parentPath, name }) => readFile(path.join(parentPath, name))),
  );
  t.equal(Buffer.concat(contents).length, 400_000);
});
