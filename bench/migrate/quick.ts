import { AUTO } from '../../migrator/events.ts';
import { parseLink } from '../../test/lab/link.ts';
import { approaches, PLAIN } from './approach.ts';
import { type Cell, MemoryKind, type Task } from './cell.ts';

const cell = (memoryMib: number, link: string, kind: MemoryKind = MemoryKind.sessions): Cell => ({
  memoryMib,
  dirtyMibPerS: 20,
  kind,
  link: parseLink(link),
});

/** The cells that `verdicts` are about, those first that most depends on: the budget may not reach to the last. */
export function quickTasks(): Task[] {
  const tasks: Task[] = [
    { cell: cell(256, '1gbit'), approaches: [PLAIN, 'pre-copy', 'hybrid', AUTO] },
    { cell: cell(256, '100mbit'), approaches: [PLAIN, 'pre-copy', 'hybrid', AUTO] },
    { cell: cell(64, '1gbit'), approaches: ['hybrid'] },
    { cell: cell(1024, '1gbit'), approaches: ['hybrid'] },
    { cell: cell(256, '1gbit', MemoryKind.random), approaches: [PLAIN, 'pre-copy'] },
    { cell: cell(1024, '100mbit'), approaches: ['hybrid'] },
  ];
  const known = new Set(approaches.map(({ key }) => key));
  return tasks
    .map((task) => ({ ...task, approaches: task.approaches.filter((key) => known.has(key)) }))
    .filter((task) => task.approaches.length > 0);
}
