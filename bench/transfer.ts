/** `npm run bench:transfer`: a whole container moved, image, files and memory, in several ways; see docs/transfer-bench.md. */
import { formatLink, type Link } from '../test/lab/link.ts';
import { runProgram } from './interrupt.ts';
import { machineFacts } from './machine-facts.ts';
import { runMeasured } from './measured-run.ts';
import { type Say, TransferBench } from './transfer/bench.ts';
import { HELP, parseTransferOptions, type TransferOptions } from './transfer/options.ts';
import { linkTables } from './transfer/report.ts';
import { verdictsOn } from './transfer/verdicts.ts';
import { verdictLines } from './verdict.ts';

await runProgram(async (signal) => {
  const options = parseTransferOptions(process.argv.slice(2));
  if (options === 'help') {
    process.stdout.write(HELP);
    return 0;
  }
  const output = options.json ? process.stderr : process.stdout;
  const say: Say = (line = '') => output.write(`${line}\n`);
  const bench = new TransferBench(options, signal, say);
  return runMeasured(bench, signal, (leftOut) => tell(bench, leftOut, options, say));
});

function tell(run: TransferBench, leftOut: number, options: TransferOptions, say: Say): void {
  const { scenario, links, strategy } = options;
  const verdicts = verdictsOn(run.measurements, links);
  const machine = machineFacts();
  say(`\n${linkTables(run, links)}\n`);
  say(
    'Medians, and in brackets the least and the greatest. Image, files, memory: what was put on the link of each;',
  );
  say(
    'all: IP packets between the hosts, both ways. engineMs: docker checkpoint create and docker start --checkpoint.\n',
  );
  for (const line of verdictLines(verdicts)) say(line);
  if (leftOut > 0) say(`\nThe budget had no room for ${leftOut} of the measurements asked for.`);
  say(
    `\nMeasured on ${machine.cpu}, ${machine.cores} cores, Linux ${machine.kernel}, CRIU ${run.versions.criu}, ` +
      `runc ${run.versions.runc}, Docker ${run.versions.docker}; Holdfast by ${strategy}.`,
  );
  if (options.json) {
    const inJson = <T extends { readonly link: Link }>(all: readonly T[]) =>
      all.map((one) => ({ ...one, link: formatLink(one.link) }));
    const report = {
      machine: { ...machine, hosts: run.versions },
      ...{ scenario, strategy },
      measurements: inJson(run.measurements),
      failures: inJson(run.failures),
      ...{ leftOut, verdicts },
    };
    process.stdout.write(`${JSON.stringify(report)}\n`);
  }
}
