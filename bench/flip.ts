/** `npm run bench:flip`: how soon after the order to hold HAProxy sends no new request to the app; see docs/steady-bench.md. */
import { setTimeout as sleep } from 'node:timers/promises';
import { needPrograms } from '../test/lab/machine.ts';
import { nowMs } from '../test/workload/exchange.ts';
import type { Arrivals } from './flip/app.ts';
import type { LoadCounts } from './flip/load.ts';
import { HELP, parseFlipOptions } from './flip/options.ts';
import { Part } from './flip/part.ts';
import { type Flip, flipOf, flipTable, verdictsOn } from './flip/report.ts';
import { PLACES, Stage } from './flip/stage.ts';
import { runProgram } from './interrupt.ts';
import { machineFacts } from './machine-facts.ts';
import { verdictLines } from './verdict.ts';

const CONNECTIONS = 64;
/** What reaches the source late would do so by then. */
const LATE_MS = 50;
/** Requests by HAProxy alone before each order. */
const SETTLE_MS = 300;
const EVERY = 10;

await runProgram(async (signal) => {
  const options = parseFlipOptions(process.argv.slice(2));
  if (options === 'help') {
    process.stdout.write(HELP);
    return 0;
  }
  const output = options.json ? process.stderr : process.stdout;
  const say = (line = '') => output.write(`${line}\n`);
  await needPrograms({ haproxy: 'haproxy' }, say, signal);
  const { flips: count, ratePerS, haproxys } = options;
  say(
    `An app behind ${haproxys} HAProxy at ${ratePerS} requests/s is held ${count} times, as a move holds it.\n`,
  );
  const app = new Part<Arrivals[]>('app', PLACES);
  const flips: Flip[] = [];
  let stage: Stage | undefined;
  let load: Part<LoadCounts> | undefined;
  try {
    stage = await Stage.open(haproxys);
    load = new Part<LoadCounts>('load', [String(ratePerS), String(CONNECTIONS), ...stage.urls]);
    for (let n = 0; n < count; n += 1) {
      flips.push(await flip(stage, app, n, signal));
      if (flips.length % EVERY === 0) say(`${flips.length}/${count}`);
    }
    const counts = await load.ask(signal);
    const verdicts = verdictsOn(flips, counts);
    const machine = machineFacts();
    say(`\n${flipTable(flips)}\n`);
    say(
      `${counts.due} requests were made, ${counts.failed} failed; the longest wait was ${counts.longestMs.toFixed(0)} ms.`,
    );
    for (const reason of counts.reasons) say(`  ${reason}`);
    say();
    for (const line of verdictLines(verdicts)) say(line);
    say(
      `\nMeasured on ${machine.cpu}, ${machine.cores} cores, Linux ${machine.kernel}, Node ${machine.node}.`,
    );
    if (options.json) {
      process.stdout.write(`${JSON.stringify({ machine, options, flips, load: counts, verdicts })}\n`);
    }
    return 0;
  } finally {
    await load?.stop();
    await stage?.close();
    await app.stop();
  }
});

/** Hold the app where it is, see what still comes there, and let it go at the other place. */
async function flip(stage: Stage, app: Part<Arrivals[]>, n: number, signal: AbortSignal): Promise<Flip> {
  const [here, there] = [n % 2, (n + 1) % 2];
  await sleep(SETTLE_MS, undefined, { signal });
  await app.ask(signal);
  const orderedAtMs = nowMs();
  await stage.hold(signal);
  const heldAtMs = nowMs();
  await sleep(LATE_MS, undefined, { signal });
  const arrivals = await app.ask(signal);
  await stage.release(PLACES[there] ?? '');
  await stage.direct();
  return flipOf(arrivals[here]?.atMs ?? [], orderedAtMs, heldAtMs);
}
