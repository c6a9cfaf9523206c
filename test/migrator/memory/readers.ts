import type { Test } from 'tap';
import { Effort, Pace } from '../../../migrator/memory/pace.ts';
import { PageReaders } from '../../../migrator/memory/page-readers.ts';

/** Readers that take no notice of what else goes on, ended with the test. */
export function testReaders(t: Test, most = 2): PageReaders {
  const pace = new Pace({ most, pressure: async () => undefined });
  pace.effort = Effort.full;
  const readers = new PageReaders({ most, pace });
  t.teardown(() => readers.close());
  return readers;
}
