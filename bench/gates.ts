/** `npm run bench:gates`: how long a move keeps users waiting behind HAProxy and behind the built-in gate; see docs/downtime.md. */
import type { GateType } from '../gateway/config/schema.ts';
import { HELP, parseGatesOptions } from './gates/options.ts';
import { gatesTable, type Move, verdictsOn } from './gates/report.ts';
import { Stage } from './gates/stage.ts';
import { runProgram } from './interrupt.ts';
import { machineFacts } from './machine-facts.ts';
import { figure } from './table.ts';
import { verdictLines } from './verdict.ts';

/** One, the other, the other, the one: what becomes slower meanwhile does so for both. */
const TURNS: readonly GateType[] = ['built-in', 'haproxy', 'haproxy', 'built-in'];

type Say = (line?: string) => void;

await runProgram(async (signal) => {
  const options = parseGatesOptions(process.argv.slice(2));
  if (options === 'help') {
    process.stdout.write(HELP);
    return 0;
  }
  const output = options.json ? process.stderr : process.stdout;
  const say: Say = (line = '') => output.write(`${line}\n`);
  const { rounds, strategy, memoryMib, ratePerS } = options;
  say(
    `Two apps with ${memoryMib} MiB of sessions, one behind the built-in gate, one behind HAProxy, each between two hosts of`,
  );
  say(
    `its own (1 Gbit/s), move in turn (${strategy}), ${ratePerS} requests/s for the one that moves, ${rounds} rounds.\n`,
  );
  const stages = new Map<GateType, Stage>();
  const moves: Move[] = [];
  try {
    for (const gate of ['built-in', 'haproxy'] as const) {
      stages.set(gate, await Stage.open(gate, options, signal));
    }
    for (const stage of stages.values()) await stage.warmUp(signal);
    for (let round = 1; round <= rounds; round += 1) {
      for (const gate of TURNS) {
        const measured = await stages.get(gate)?.measure(signal);
        if (measured === undefined) continue;
        moves.push({ gate, round, ...measured });
        const { blackoutMs, holdMs, holdStepMs, faults } = measured;
        say(
          `${round}/${rounds}  ${gate.padEnd(9)} blackout ${figure(blackoutMs)} ms, requests held ${figure(holdMs)} ms, ` +
            `the hold took ${figure(holdStepMs)} ms${faults === 0 ? '' : `, ${faults} FAULTS`}`,
        );
      }
    }
  } finally {
    await Promise.allSettled([...stages.values()].map((stage) => stage.close()));
  }
  const verdicts = verdictsOn(moves);
  const machine = machineFacts();
  say(`\n${gatesTable(moves)}\n`);
  say('Medians, and in brackets the least and the greatest; milliseconds.\n');
  for (const line of verdictLines(verdicts)) say(line);
  say(`\nMeasured on ${machine.cpu}, ${machine.cores} cores, Linux ${machine.kernel}, Node ${machine.node}.`);
  if (options.json) process.stdout.write(`${JSON.stringify({ machine, options, moves, verdicts })}\n`);
  return 0;
});
