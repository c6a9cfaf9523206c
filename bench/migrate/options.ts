import { parseArgs } from 'node:util';
import { GATE_TYPES, type GateType } from '../../gateway/config/schema.ts';
import { HoldfastError } from '../../migrator/errors.ts';
import { parseLink } from '../../test/lab/link.ts';
import { oneOf, usage, wholeNumber } from '../demo-options.ts';
import { approaches } from './approach.ts';
import { MemoryKind, type Task } from './cell.ts';
import { quickTasks } from './quick.ts';

export interface BenchOptions {
  readonly tasks: readonly Task[];
  readonly rounds: number;
  /** Absent: as long as it takes. */
  readonly budgetMs?: number;
  /** What stands in front where Holdfast moves. */
  readonly gate: GateType;
  readonly svg?: string;
  readonly json: boolean;
}

const QUICK_MIN = 10;
const keys = approaches.map(({ key }) => key);

export const HELP = `npm run bench:migrate -- [options]

  --quick               what the product promises, within ${QUICK_MIN} minutes; takes no choice of cells
  --memory-mib "N …"    sessions the app keeps in memory ("64 256 1024")
  --dirty "N …"         MiB of pages it writes each second ("0 20 200")
  --link "LINK …"       100mbit, 1gbit,20ms … (100 Mbit/s and 1 Gbit/s with 0, 20 and 50 ms)
  --memory-kind "K …"   sessions, which compress to a third, or random ("sessions")
  --strategy "S …"      ${keys.join(', ')} (all)
  --gate G              built-in, or haproxy: Holdfast's moves with the lab's HAProxy in front (built-in)
  --rounds N            measurements of each at most (3)
  --budget-min N        begin nothing that would not end within so many minutes
  --svg FILE            draw the blackouts there
  --json                standard output is one object of JSON; progress goes to standard error

A choice has spaces between what is chosen. All cells in all ways are a matter of hours.
`;

/** @throws HoldfastError `USAGE`, `LAB_BAD_LINK` */
export function parseBenchOptions(args: readonly string[]): BenchOptions | 'help' {
  const { values } = usage(() =>
    parseArgs({
      args: [...args],
      options: {
        quick: { type: 'boolean', default: false },
        'memory-mib': { type: 'string' },
        dirty: { type: 'string' },
        link: { type: 'string' },
        'memory-kind': { type: 'string' },
        strategy: { type: 'string' },
        gate: { type: 'string', default: 'built-in' },
        rounds: { type: 'string', default: '3' },
        'budget-min': { type: 'string' },
        svg: { type: 'string' },
        json: { type: 'boolean', default: false },
        help: { type: 'boolean', short: 'h', default: false },
      },
    }),
  );
  if (values.help) return 'help';
  const chosen = (['memory-mib', 'dirty', 'link', 'memory-kind', 'strategy'] as const).filter(
    (name) => values[name] !== undefined,
  );
  if (values.quick && chosen.length > 0)
    throw usageError(`--quick has its own cells: leave out --${chosen[0]}`);
  const budget = values['budget-min'] ?? (values.quick ? String(QUICK_MIN) : undefined);
  return {
    tasks: values.quick ? quickTasks() : chosenTasks(values),
    rounds: wholeNumber('--rounds', values.rounds, 1, 1_000),
    ...(budget === undefined ? {} : { budgetMs: wholeNumber('--budget-min', budget, 1, 10_000) * 60_000 }),
    gate: oneOf('--gate', values.gate, GATE_TYPES),
    ...(values.svg === undefined ? {} : { svg: values.svg }),
    json: values.json,
  };
}

interface Choice {
  'memory-mib'?: string | undefined;
  dirty?: string | undefined;
  link?: string | undefined;
  'memory-kind'?: string | undefined;
  strategy?: string | undefined;
}

function chosenTasks(values: Choice): Task[] {
  const links = words(values.link ?? '1gbit 1gbit,20ms 1gbit,50ms 100mbit 100mbit,20ms 100mbit,50ms');
  const ways = words(values.strategy ?? keys.join(' ')).map((word) => oneOf('--strategy', word, keys));
  const kinds = words(values['memory-kind'] ?? MemoryKind.sessions);
  const cells = links.map(parseLink).flatMap((link) =>
    kinds
      .map((word) => oneOf('--memory-kind', word, Object.values(MemoryKind)))
      .flatMap((kind) =>
        numbers('--memory-mib', values['memory-mib'] ?? '64 256 1024', 65_536).flatMap((memoryMib) =>
          numbers('--dirty', values.dirty ?? '0 20 200', 10_000).map((dirtyMibPerS) => ({
            memoryMib,
            dirtyMibPerS,
            kind,
            link,
          })),
        ),
      ),
  );
  return cells.map((cell) => ({ cell, approaches: ways }));
}

function words(text: string): string[] {
  const found = [...new Set(text.split(/\s+/).filter(Boolean))];
  if (found.length === 0) throw usageError('a choice is empty');
  return found;
}

function numbers(name: string, text: string, most: number): number[] {
  return words(text).map((word) => wholeNumber(name, word, 0, most));
}

function usageError(message: string): HoldfastError {
  return new HoldfastError('USAGE', message, { mend: 'see --help' });
}
