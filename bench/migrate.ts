/** `npm run bench:migrate`: moves of every kind, in cells of memory, dirty rate and link; see docs/migrate-bench.md. */
import { writeFileSync } from 'node:fs';
import { formatLink } from '../test/lab/link.ts';
import { runProgram } from './interrupt.ts';
import { machineFacts } from './machine-facts.ts';
import { runMeasured } from './measured-run.ts';
import { Bench, type Say } from './migrate/bench.ts';
import type { Cell } from './migrate/cell.ts';
import { blackoutChart } from './migrate/chart.ts';
import { groupsOf } from './migrate/groups.ts';
import { type BenchOptions, HELP, parseBenchOptions } from './migrate/options.ts';
import { aheadTable, cellTables } from './migrate/report.ts';
import { verdictsOn } from './migrate/verdicts.ts';
import { verdictLines } from './verdict.ts';

await runProgram(async (signal) => {
  const options = parseBenchOptions(process.argv.slice(2));
  if (options === 'help') {
    process.stdout.write(HELP);
    return 0;
  }
  const output = options.json ? process.stderr : process.stdout;
  const say: Say = (line = '') => output.write(`${line}\n`);
  const bench = new Bench(options, signal, say);
  return runMeasured(bench, signal, (leftOut) => tell(bench, leftOut, options, say));
});

function tell(run: Bench, leftOut: number, options: BenchOptions, say: Say): void {
  const groups = groupsOf(run.measurements);
  const verdicts = verdictsOn(groups);
  const machine = machineFacts();
  const measuredOn = `${machine.cpu}, ${machine.cores} cores, Linux ${machine.kernel}, CRIU ${run.versions.criu}, runc ${run.versions.runc}`;
  say(`\n${cellTables(run)}\n`);
  say('Medians, and in brackets the least and the greatest; milliseconds unless it says otherwise.\n');
  const ahead = aheadTable(run);
  if (ahead !== '') say(`What sending ahead costs while the app runs\n${ahead}\n`);
  for (const line of verdictLines(verdicts)) say(line);
  if (leftOut > 0) say(`\nThe budget had no room for ${leftOut} of the measurements asked for.`);
  say(`\nMeasured on ${measuredOn}.`);
  if (options.svg !== undefined) {
    writeFileSync(options.svg, blackoutChart(groups, measuredOn));
    say(`Drawn in ${options.svg}.`);
  }
  if (options.json) {
    const inJson = <T extends { cell: Cell }>(all: readonly T[]) =>
      all.map(({ cell, ...rest }) => ({ ...cell, link: formatLink(cell.link), ...rest }));
    const report = {
      machine: { ...machine, hosts: run.versions },
      gate: options.gate,
      measurements: inJson(run.measurements),
      failures: inJson(run.failures),
      unavailable: run.unavailable,
      leftOut,
      verdicts,
    };
    process.stdout.write(`${JSON.stringify(report)}\n`);
  }
}
