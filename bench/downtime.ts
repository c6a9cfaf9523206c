/** `npm run bench:downtime`: the same app and load, moved by three approaches; see docs/downtime.md. */
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { GATE_TYPES } from '../gateway/config/schema.ts';
import { parseLink } from '../test/lab/lab.ts';
import { needPrograms } from '../test/lab/machine.ts';
import { nowMs } from '../test/workload/exchange.ts';
import { RemoteLoad } from '../test/workload/remote-load.ts';
import { Budget } from './budget.ts';
import { oneOf, usage, wholeNumber } from './demo-options.ts';
import { type Approach, approaches, type StageOptions } from './downtime/approaches.ts';
import { type Measurement, summaryOf, summaryTable } from './downtime/summary.ts';
import { Wrk } from './downtime/wrk.ts';
import { runProgram } from './interrupt.ts';
import { machineFacts } from './machine-facts.ts';
import { inRounds } from './rounds.ts';
import { figure } from './table.ts';

const PROBES_PER_S = 1_000;
const PROBE_CLIENTS = 32;
const PROBE_TIMEOUT_MS = 10_000;
/** Load alone before and after the move. */
const SETTLE_MS = 1_000;
const FLOWING_TIMEOUT_MS = 30_000;
/** What a measurement takes but for its bytes on the link. */
const GUESS_MS = 20_000;
const MIB = 1 << 20;

/** For taking hosts down and for the tables. */
const RESERVE_MS = 20_000;

const HELP = `npm run bench:downtime -- [options]

  --rounds N        measurements of each approach on each link (5)
  --memory-mib N    sessions the app keeps in memory (64)
  --links LIST      links in turn, separated by spaces ("100mbit 1gbit")
  --gate LIST       what Holdfast is measured with, separated by spaces: built-in, haproxy ("built-in")
  --budget-min N    begin nothing that would not end within so many minutes (12)
  --quick           one round, 1gbit only
  --json            standard output is one object of JSON; progress goes to standard error
`;

await runProgram(async (signal) => {
  const { values } = usage(() =>
    parseArgs({
      options: {
        rounds: { type: 'string', default: '5' },
        'memory-mib': { type: 'string', default: '64' },
        links: { type: 'string', default: '100mbit 1gbit' },
        gate: { type: 'string', default: 'built-in' },
        'budget-min': { type: 'string', default: '12' },
        quick: { type: 'boolean', default: false },
        json: { type: 'boolean', default: false },
        help: { type: 'boolean', short: 'h', default: false },
      },
    }),
  );
  if (values.help) {
    process.stdout.write(HELP);
    return 0;
  }
  const rounds = values.quick ? 1 : wholeNumber('--rounds', values.rounds, 1, 1_000);
  const memoryMib = wholeNumber('--memory-mib', values['memory-mib'], 0, 65_536);
  const links = (values.quick ? ['1gbit'] : values.links.split(/\s+/).filter(Boolean)).map((text) => ({
    text,
    link: parseLink(text),
  }));
  const gates = values.gate.split(/\s+/).map((word) => oneOf('--gate', word, GATE_TYPES));
  const chosen = approaches.filter(({ gate }) => gate === undefined || gates.includes(gate));
  const budgetMs = wholeNumber('--budget-min', values['budget-min'], 1, 10_000) * 60_000;
  const output = values.json ? process.stderr : process.stdout;
  const say = (line = '') => output.write(`${line}\n`);
  explain(chosen, memoryMib, say);
  const budget = new Budget(budgetMs, RESERVE_MS);
  await needPrograms({ wrk: 'wrk' }, say, signal);
  const measurements: Measurement[] = [];
  let failures = 0;
  const leftOut = await inRounds({
    tasks: links.flatMap(({ text, link }) => chosen.map((approach) => ({ approach, text, link }))),
    rounds,
    budget,
    signal,
    guessMs: ({ link }) =>
      GUESS_MS + (memoryMib * 8 * MIB * 1000) / (link.rateBps ?? Number.POSITIVE_INFINITY),
    async run({ approach, text, link }, round, within) {
      const measured = await measure(approach, { link, memoryMib, signal: within });
      measurements.push({ approach: approach.key, link: text, round, ...measured });
      const { blackoutMs, failed, lost } = measured;
      const found = `blackout ${figure(blackoutMs)} ms, ${figure(failed)} failed, ${figure(lost)} lost`;
      say(`${round}/${rounds}  ${text.padEnd(9)} ${approach.title.padEnd(30)} ${found}`);
    },
    failed({ approach, text }, round, error) {
      failures += 1;
      const reason = error instanceof Error ? error.message : String(error);
      say(`${round}/${rounds}  ${text.padEnd(9)} ${approach.title.padEnd(30)} NOT MEASURED: ${reason}`);
    },
  });
  const summary = summaryOf(measurements);
  say(`\n${summaryTable(summary)}\n`);
  say('Medians over the rounds, and in brackets the least and the greatest.');
  if (leftOut > 0) say(`The budget had no room for ${leftOut} measurements: see --budget-min.`);
  if (values.json) {
    const machine = machineFacts();
    process.stdout.write(`${JSON.stringify({ machine, memoryMib, rounds, summary, measurements })}\n`);
  }
  return failures === 0 ? 0 : 1;
});

function explain(chosen: readonly Approach[], memoryMib: number, say: (line?: string) => void): void {
  say(`A web app with ${memoryMib} MiB of sessions moves from one lab host to another, under load from wrk.`);
  for (const { title, what } of chosen) say(`  ${title}: ${what}`);
  say('(a) and (b) have a plain TCP forwarder in front that is switched over; it holds nothing back.');
  say(
    `The prober makes ${figure(PROBES_PER_S)} requests a second, whatever becomes of them. blackoutMs is its longest time`,
  );
  say(
    'without a good answer; failed are its requests that got none; lost are answers of before that the app no',
  );
  say('longer knows of afterwards.\n');
}

async function measure(
  approach: Approach,
  options: StageOptions,
): Promise<Omit<Measurement, 'approach' | 'link' | 'round'>> {
  const { signal } = options;
  const stage = await approach.setUp(options);
  let prober: RemoteLoad | undefined;
  let wrk: Wrk | undefined;
  try {
    prober = await RemoteLoad.start({
      url: stage.url,
      ratePerS: PROBES_PER_S,
      clients: PROBE_CLIENTS,
      timeoutMs: PROBE_TIMEOUT_MS,
      postShare: 0,
    });
    wrk = new Wrk(stage.url);
    await delay(SETTLE_MS, undefined, { signal });
    const bytesBefore = await stage.bytes();
    const fromMs = nowMs();
    await stage.move();
    const totalMs = nowMs() - fromMs;
    await prober.flowing(FLOWING_TIMEOUT_MS);
    const window = { fromMs, toMs: nowMs() };
    const bytesSent = (await stage.bytes()) - bytesBefore;
    await delay(SETTLE_MS, undefined, { signal });
    const load = await wrk.finish();
    const { windows, total } = await prober.finish([window]);
    const [seen] = windows;
    if (seen === undefined) throw new Error('the prober reported no window');
    return {
      blackoutMs: seen.blackoutMs,
      p99: seen.p99,
      max: seen.max,
      requests: total.requests,
      failed: total.failed,
      lost: total.lost,
      duplicated: total.duplicated,
      wrkErrors: load.errors,
      totalMs,
      bytesSent,
    };
  } finally {
    await Promise.allSettled([wrk?.stop(), prober?.stop()]);
    await stage.stop();
  }
}
