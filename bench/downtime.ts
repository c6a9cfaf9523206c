/** `npm run bench:downtime`: the same app and load, moved by three approaches; see docs/downtime.md. */
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { parseLink } from '../test/lab/lab.ts';
import { needPrograms } from '../test/lab/machine.ts';
import { nowMs } from '../test/workload/exchange.ts';
import { RemoteLoad } from '../test/workload/remote-load.ts';
import { usage, wholeNumber } from './demo-options.ts';
import { type Approach, approaches, type StageOptions } from './downtime/approaches.ts';
import { type Measurement, summaryOf, summaryTable } from './downtime/summary.ts';
import { Wrk } from './downtime/wrk.ts';
import { runProgram } from './interrupt.ts';
import { figure } from './table.ts';

const PROBES_PER_S = 1_000;
const PROBE_CLIENTS = 32;
const PROBE_TIMEOUT_MS = 10_000;
/** Load alone before and after the move. */
const SETTLE_MS = 1_000;
const FLOWING_TIMEOUT_MS = 30_000;

const HELP = `npm run bench:downtime -- [options]

  --rounds N        measurements of each approach on each link (5)
  --memory-mib N    sessions the app keeps in memory (64)
  --links LIST      links in turn, separated by spaces ("100mbit 1gbit")
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
  const links = values.quick ? ['1gbit'] : values.links.split(/\s+/).filter(Boolean);
  const output = values.json ? process.stderr : process.stdout;
  const say = (line = '') => output.write(`${line}\n`);
  explain(memoryMib, say);
  await needPrograms({ wrk: 'wrk' }, say, signal);
  const measurements: Measurement[] = [];
  for (const linkText of links) {
    const stage = { link: parseLink(linkText), memoryMib, signal };
    for (let round = 1; round <= rounds; round += 1) {
      // In turn, so that what changes on the machine meanwhile meets all of them alike.
      for (const approach of approaches) {
        const measured = await measure(approach, stage, signal);
        measurements.push({ approach: approach.key, link: linkText, round, ...measured });
        const { blackoutMs, failed, lost } = measured;
        const found = `blackout ${figure(blackoutMs)} ms, ${figure(failed)} failed, ${figure(lost)} lost`;
        say(`${linkText.padEnd(9)} ${round}/${rounds}  ${approach.title.padEnd(20)} ${found}`);
      }
    }
  }
  const summary = summaryOf(measurements);
  say(`\n${summaryTable(summary)}\n`);
  say('Medians over the rounds, and in brackets the least and the greatest.');
  if (values.json) process.stdout.write(`${JSON.stringify({ memoryMib, rounds, summary, measurements })}\n`);
  return 0;
});

function explain(memoryMib: number, say: (line?: string) => void): void {
  say(`A web app with ${memoryMib} MiB of sessions moves from one lab host to another, under load from wrk.`);
  for (const { title, what } of approaches) say(`  ${title}: ${what}`);
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
  signal: AbortSignal,
): Promise<Omit<Measurement, 'approach' | 'link' | 'round'>> {
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
    const fromMs = nowMs();
    const bytesSent = await stage.move();
    const totalMs = nowMs() - fromMs;
    await prober.flowing(FLOWING_TIMEOUT_MS);
    const window = { fromMs, toMs: nowMs() };
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
    await wrk?.stop();
    await prober?.stop();
    await stage.stop();
  }
}
