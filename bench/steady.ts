/** `npm run bench:steady`: what a proxy costs while nothing moves; see docs/steady-bench.md. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { anySignal } from '../migrator/any-signal.ts';
import { run } from '../migrator/process.ts';
import { needPrograms } from '../test/lab/machine.ts';
import { Budget } from './budget.ts';
import { runProgram } from './interrupt.ts';
import { machineFacts } from './machine-facts.ts';
import { inRounds } from './rounds.ts';
import { type Cores, twoCores } from './steady/cores.ts';
import { Contender } from './steady/measure.ts';
import type { Measurement } from './steady/measurement.ts';
import { APP_CONFIG, startNginx } from './steady/nginx.ts';
import { HELP, parseSteadyOptions, type SteadyOptions } from './steady/options.ts';
import { APP_ADDRESS } from './steady/place.ts';
import { proxies } from './steady/proxies.ts';
import { steadyTable, summaryOf, verdictsOn } from './steady/report.ts';
import { figure } from './table.ts';
import { verdictLines } from './verdict.ts';

const PROGRAMS = { haproxy: 'haproxy', nginx: 'nginx', wrk: 'wrk', taskset: 'util-linux' };
const VERSION_TIMEOUT_MS = 10_000;

type Say = (line?: string) => void;

await runProgram(async (signal) => {
  const options = parseSteadyOptions(process.argv.slice(2));
  if (options === 'help') {
    process.stdout.write(HELP);
    return 0;
  }
  const output = options.json ? process.stderr : process.stdout;
  const say: Say = (line = '') => output.write(`${line}\n`);
  const cores = twoCores();
  await needPrograms(PROGRAMS, say, signal);
  explain(options, cores, say);
  const dir = await mkdtemp(path.join(tmpdir(), 'holdfast-steady-'));
  try {
    const url = `http://${APP_ADDRESS}/`;
    const app = await startNginx({ name: 'app', dir, config: APP_CONFIG, core: cores.load, url });
    try {
      return await compare(options, { dir, cores }, signal, say);
    } finally {
      await app.stop();
    }
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
});

function explain({ rounds, seconds, connections }: SteadyOptions, cores: Cores, say: Say): void {
  say('What a proxy costs while nothing moves: GET, answers of 1 KiB, keep-alive, no TLS.\n');
  say(`  proxy  all its processes on core ${cores.proxy}, one at a time: the others stand still`);
  say(`  load   wrk on core ${cores.load}, ${connections} connections, each asks again when it is answered`);
  say(`  app    nginx, on core ${cores.load} too`);
  say(`  ${rounds} rounds, in each all in turn and then backwards, ${seconds} s each time\n`);
}

async function compare(
  options: SteadyOptions,
  place: { readonly dir: string; readonly cores: Cores },
  signal: AbortSignal,
  say: Say,
): Promise<number> {
  const { rounds, seconds, budgetMs } = options;
  const measurements: Measurement[] = [];
  const failures: { proxy: string; round: number; reason: string }[] = [];
  const contenders: Contender[] = [];
  let leftOut = 0;
  try {
    for (const kind of proxies.filter(({ key }) => options.proxies.includes(key))) {
      contenders.push(await Contender.start(kind, contenders.length, { ...place, ...options, signal }));
    }
    leftOut = await inRounds({
      // There and back: what the machine does slower as time goes on, it does so for all alike.
      tasks: [...contenders, ...contenders.toReversed()],
      rounds,
      ...(budgetMs === undefined ? {} : { budget: new Budget(budgetMs, 0) }),
      signal,
      guessMs: () => seconds * 1_000,
      async run(contender, round, within) {
        const measured = await contender.measure({ ...place, ...options, signal: within });
        measurements.push({ proxy: contender.kind.key, round, ...measured });
        const { requestsPerS, cpuUsPerRequest } = measured;
        const perS = figure(Math.round(requestsPerS)).padStart(8);
        say(`${said(round, contender)} ${perS} requests/s, ${figure(cpuUsPerRequest)} µs of CPU each`);
      },
      failed(contender, round, error) {
        const reason = error instanceof Error ? error.message : String(error);
        failures.push({ proxy: contender.kind.key, round, reason });
        say(`${said(round, contender)} NOT MEASURED: ${reason}`);
      },
    });
  } finally {
    await Promise.all(contenders.map((contender) => contender.stop()));
  }
  const summary = summaryOf(measurements);
  const verdicts = verdictsOn(measurements);
  const machine = machineFacts();
  const versions = await versionsOf(signal);
  say(`\n${steadyTable(summary)}\n`);
  say(
    'Medians, and in brackets the least and the greatest. / alone: of HAProxy alone in the same round, and in brackets the',
  );
  say(
    'quartiles. CPU: of all processes that the proxy needs, by /proc. core: the share of its core that they used.\n',
  );
  for (const line of verdictLines(verdicts)) say(line);
  if (leftOut > 0) say(`\nThe budget had no room for ${leftOut} of the measurements asked for.`);
  const known = Object.entries(versions).map(([program, version]) => `${program} ${version}`);
  say(
    `\nMeasured on ${machine.cpu}, ${machine.cores} cores, Linux ${machine.kernel}, Node ${machine.node}, ${known.join(', ')}.`,
  );
  if (options.json) {
    const { cores } = place;
    const report = {
      machine: { ...machine, versions },
      cores,
      options,
      summary,
      measurements,
      failures,
      leftOut,
      verdicts,
    };
    process.stdout.write(`${JSON.stringify(report)}\n`);
  }
  return failures.length === 0 ? 0 : 1;
}

function said(round: number, { kind }: Contender): string {
  return `${String(round).padStart(3)}  ${kind.title.padEnd(24)}`;
}

async function versionsOf(signal: AbortSignal): Promise<Record<string, string>> {
  const script = 'haproxy -v; nginx -v 2>&1; wrk -v || true';
  const within = anySignal([signal, AbortSignal.timeout(VERSION_TIMEOUT_MS)]);
  const { stdout } = await run('sh', ['-c', script], { signal: within });
  const found = [...stdout.matchAll(/(HAProxy|nginx|wrk)\D*?(\d[\w.+~-]*)/g)];
  return Object.fromEntries(found.map(([, program = '', version = '']) => [program, version]).reverse());
}
