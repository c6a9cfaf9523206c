import t from 'tap';
import { systemPageBytes, whyNotRead } from '../../../migrator/memory/system-page.ts';
import { run } from '../../../migrator/process.ts';

t.test('the size of pages is the kernel’s own', async (t) => {
  const { stdout } = await run('getconf', ['PAGESIZE'], { signal: AbortSignal.timeout(5_000) });
  t.equal(systemPageBytes, Number(stdout));
});

t.test('memory is read where pages are of 4 KiB, and elsewhere it is said why not', async (t) => {
  t.equal(whyNotRead(4096), undefined);
  for (const kib of [16, 64]) t.match(whyNotRead(kib * 1024), `pages of ${kib} KiB`);
});
