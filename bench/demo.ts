/** `npm run demo`: a web app moves between two hosts under load, and all that users noticed is counted. */
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import type { MigrationEvent } from '../migrator/events.ts';
import { APP } from '../test/system/configs.ts';
import { startDockerSystem } from '../test/system/docker-system.ts';
import { type System, startSystem } from '../test/system/system.ts';
import { nowMs } from '../test/workload/exchange.ts';
import { RemoteLoad } from '../test/workload/remote-load.ts';
import type { LoadReport, Window } from '../test/workload/report.ts';
import { DEMO_HELP, type DemoOptions, parseDemoOptions } from './demo-options.ts';
import { demoReport, demoTable, demoVerdict, type Move } from './demo-report.ts';
import { frontsOf } from './fronts.ts';
import { runProgram } from './interrupt.ts';
import { figure } from './table.ts';

/** Load alone before, between and after the moves, so that a move is seen against the ordinary. */
const BETWEEN_MOVES_MS = 1_000;
const FLOWING_TIMEOUT_MS = 30_000;

type Say = (line?: string) => void;

await runProgram(async (signal) => {
  const options = parseDemoOptions(process.argv.slice(2));
  if (options === 'help') {
    process.stdout.write(DEMO_HELP);
    return 0;
  }
  const output = options.json ? process.stderr : process.stdout;
  const say: Say = (line = '') => output.write(`${line}\n`);
  introduce(options, say);
  const startedAt = performance.now();
  const progress = (line: string) => say(`  ${seconds(performance.now() - startedAt)}  ${line}`);
  say('Preparing');
  const start = options.engine === 'docker' ? startDockerSystem : startSystem;
  const system = await start({
    link: options.link,
    app: { memoryMib: options.memoryMib },
    haproxys: await frontsOf(options.gate, progress, signal),
    signal,
    log: progress,
  });
  try {
    const { moves, load } = await play(system, options, signal, say);
    const report = demoReport(moves, load);
    const { good, line } = demoVerdict(moves, report);
    say(demoTable(moves, report));
    say(
      '\nMilliseconds, as users saw them (latencies from the time a request was due). In the total, frozenMs,',
    );
    say('holdMs, blackoutMs and totalMs are medians over the moves.\n');
    for (const fault of good ? [] : load.faults) say(`  ${fault}`);
    if (!good) say(system.logs());
    say(line);
    if (options.json) process.stdout.write(`${JSON.stringify(report)}\n`);
    if (options.keep) await keep(system, signal, say);
    return good ? 0 : 1;
  } catch (error) {
    if (!signal.aborted) say(system.logs());
    throw error;
  } finally {
    await system.stop();
  }
});

function introduce(options: DemoOptions, say: Say): void {
  say('Holdfast demo: a web app that keeps everything in memory moves between hosts while people use it.\n');
  const runtime = options.engine === 'docker' ? 'Docker Engine' : 'runc';
  say(
    `  hosts  a and b, on this machine: each with its own network, processes, CRIU and ${runtime}; link ${options.linkText}`,
  );
  if (options.gate === 'haproxy') {
    say('  gate   HAProxy in front; nothing of Holdfast is in the way of requests while nothing moves');
  }
  say(
    `  app    ${options.memoryMib} MiB of sessions, a counter for each user, a hash chain over all requests`,
  );
  say(
    `  load   ${options.ratePerS} requests/s from ${options.clients} keep-alive clients; three in ten are POSTs with bodies`,
  );
  say(`  moves  ${options.moves}, to and fro\n`);
}

async function play(
  system: System,
  options: DemoOptions,
  signal: AbortSignal,
  say: Say,
): Promise<{ moves: Move[]; load: LoadReport }> {
  const load = await RemoteLoad.start({
    url: system.url,
    ratePerS: options.ratePerS,
    clients: options.clients,
  });
  try {
    await delay(BETWEEN_MOVES_MS, undefined, { signal });
    const moves: Move[] = [];
    const windows: Window[] = [];
    let [here = 'a', there = 'b'] = system.lab.hosts.keys();
    for (let n = 1; n <= options.moves; n += 1) {
      say(`\nMove ${n} of ${options.moves}: ${here} → ${there}`);
      const fromMs = nowMs();
      const ended = await system.migrate(there, (event) => tellStep(event, say), {
        strategy: options.strategy,
        verify: options.verify,
      });
      await load.flowing(FLOWING_TIMEOUT_MS);
      windows.push({ fromMs, toMs: nowMs() });
      moves.push({ from: here, to: there, ended });
      if (ended.error !== undefined) {
        say(`  ${ended.outcome}: ${ended.error.message}`);
        break;
      }
      [here, there] = [there, here];
      await system.direct();
      await delay(BETWEEN_MOVES_MS, undefined, { signal });
    }
    say('\nChecking every answer against what the app knows …\n');
    return { moves, load: await load.finish(windows) };
  } finally {
    await load.stop();
  }
}

function tellStep(event: MigrationEvent, say: Say): void {
  if (event.type === 'step-finished') {
    const detail = Object.entries(event.detail ?? {}).map(([name, value]) => `${name} ${figure(value)}`);
    say(
      `  ${event.step.padEnd(14)}${figure(event.durationMs).padStart(8)} ms  ${detail.join(', ')}`.trimEnd(),
    );
  }
  if (event.type === 'step-failed') say(`  ${event.step.padEnd(14)}  failed: ${event.error.message}`);
  if (event.type === 'undo-finished') say(`  ${event.step.padEnd(14)}  undone`);
  if (event.type === 'ended') {
    const { frozenMs, holdMs, totalMs, bytesSent } = event.figures;
    say(
      `  ${event.outcome}: frozen ${figure(frozenMs)} ms, requests held ${figure(holdMs)} ms, ` +
        `${figure(bytesSent)} bytes sent, ${figure(totalMs)} ms in all`,
    );
  }
}

async function keep(system: System, signal: AbortSignal, say: Say): Promise<void> {
  const [here] = await system.instances();
  const there = [...system.lab.hosts.keys()].find((host) => host !== here?.host);
  say('\nEverything stays up until Ctrl-C. In another terminal, in this directory:\n');
  say(`  curl ${system.url}/state`);
  say(`  curl -H 'cookie: session=me' -H 'x-load-id: 1' ${system.url}/visit`);
  say(`  npx tsx gateway/main.ts apps --admin ${system.admin.url}`);
  say(`  npx tsx gateway/main.ts migrate ${APP} --to ${there} --admin ${system.admin.url}`);
  say(`  npm run lab -- exec --name ${system.lab.name} a -- ps ax`);
  say(`  tail -f ${system.dir}/*.log`);
  if (!signal.aborted) await once(signal, 'abort');
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1).padStart(5)} s`;
}
