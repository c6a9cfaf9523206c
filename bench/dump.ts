/** `npm run bench:dump`: how long a container of many processes stands still for its dump, by CRIU alone and in parallel. */
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';
import type { RuncContainer } from '../migrator/engine/runc/config.ts';
import { build, PLAIN_NODE } from '../test/build.mjs';
import { createLab, type Lab } from '../test/lab/lab.ts';
import { usage, wholeNumber } from './demo-options.ts';
import type { DumpMeasurement, DumpOrder } from './dump/order.ts';
import { runProgram } from './interrupt.ts';
import { hostVersions, machineFacts } from './machine-facts.ts';
import { median, spreadOf } from './statistics.ts';
import { spreadText, table } from './table.ts';

const HELP = `npm run bench:dump -- [options]

  --processes N    of the container (8)
  --memory-mib N   of each, random bytes (64)
  --rounds N       dumps in each way, in turn; one more of each is made first and not counted (7)
  --workers N      threads that read, at most (as many as cores, up to 8)
  --json           standard output is one object of JSON
`;

const WAYS: readonly (readonly [DumpMeasurement['way'], string])[] = [
  ['criu', 'CRIU alone, all to tmpfs, one process after the other'],
  ['parallel', 'in parallel, nothing sent ahead: all at hand to be sent'],
  ['compare', 'in parallel, compared with what was sent ahead'],
];

await runProgram(async (signal) => {
  const { values } = usage(() =>
    parseArgs({
      args: process.argv.slice(2),
      options: {
        processes: { type: 'string', default: '8' },
        'memory-mib': { type: 'string', default: '64' },
        rounds: { type: 'string', default: '7' },
        workers: { type: 'string' },
        json: { type: 'boolean', default: false },
        help: { type: 'boolean', default: false },
      },
    }),
  );
  if (values.help) {
    process.stdout.write(HELP);
    return 0;
  }
  const processes = wholeNumber('--processes', values.processes, 1, 64);
  const memoryMib = wholeNumber('--memory-mib', values['memory-mib'], 1, 4096);
  const order: DumpOrder = {
    container: containerOf(processes, memoryMib),
    rounds: wholeNumber('--rounds', values.rounds, 1, 1000),
    ...(values.workers === undefined ? {} : { workers: wholeNumber('--workers', values.workers, 1, 64) }),
  };
  const lab = await createLab({ hosts: ['a'], signal });
  try {
    const versions = await hostVersions(lab.host('a'));
    const measurements = await run(lab, order, signal);
    const machine = machineFacts();
    if (values.json) {
      process.stdout.write(`${JSON.stringify({ machine, versions, processes, memoryMib, measurements })}\n`);
    } else {
      process.stdout.write(`${report(measurements)}\n\n`);
      process.stdout.write(
        `${processes} processes of ${memoryMib} MiB, ${measurements[0]?.threads} threads; medians of ${order.rounds}, in brackets the least and the greatest.\n` +
          `Measured on ${machine.cpu}, ${machine.cores} cores, Linux ${machine.kernel}, CRIU ${versions.criu}, runc ${versions.runc}.\n`,
      );
    }
    return 0;
  } finally {
    await lab.down();
  }
});

function containerOf(processes: number, memoryMib: number): RuncContainer {
  return {
    engine: 'runc',
    rootfs: '/srv/rootfs',
    command: ['/usr/bin/node', '/srv/app.mjs'],
    env: { PROCESSES: String(processes), MEMORY_MIB: String(memoryMib), PORT: '8080' },
    cwd: '/',
    user: '0:0',
    port: 8080,
    mounts: [{ source: '/opt/holdfast/bench/dump', destination: '/srv', readOnly: true }],
    tmpfs: ['/tmp'],
    seccomp: 'default',
    connections: 'refuse',
  };
}

/** Let the program on the host do it. */
async function run(lab: Lab, order: DumpOrder, signal: AbortSignal): Promise<DumpMeasurement[]> {
  const program = `/opt/holdfast/${build()}/bench/dump/in-host.js`;
  const child = lab
    .host('a')
    .spawn('/usr/bin/env', [...PLAIN_NODE, '/usr/bin/node', program, JSON.stringify(order)], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
  const stop = () => child.kill('SIGKILL');
  signal.addEventListener('abort', stop, { once: true });
  try {
    const exited = new Promise<number | null>((resolve) => child.once('exit', resolve));
    const measurements: DumpMeasurement[] = [];
    if (child.stdout) {
      for await (const line of createInterface({ input: child.stdout })) measurements.push(JSON.parse(line));
    }
    const code = await exited;
    signal.throwIfAborted();
    if (code !== 0) throw new Error(`the program on the host ended with ${code}`);
    return measurements;
  } finally {
    signal.removeEventListener('abort', stop);
    stop();
  }
}

function report(measurements: readonly DumpMeasurement[]): string {
  const msOf = (way: DumpMeasurement['way']) =>
    measurements.filter((one) => one.way === way).map(({ ms }) => ms);
  const criuMs = median(msOf('criu')) ?? 0;
  const rows = WAYS.map(([way, name]) => {
    const bytes = median(measurements.filter((one) => one.way === way).map((one) => one.bytes)) ?? 0;
    const times = criuMs / (median(msOf(way)) ?? Number.POSITIVE_INFINITY);
    return [name, spreadText(spreadOf(msOf(way))), `${Math.round(bytes / (1 << 20))}`, times.toFixed(2)];
  });
  return table(['dump', 'ms', 'MiB', 'times as fast'], rows);
}
