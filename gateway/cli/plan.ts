import type { Command } from 'commander';
import type { Plan } from '../../migrator/planner/prediction.ts';
import { type AdminOptions, connect, withAdminOptions } from './admin-options.ts';
import { type OrderOptions, requestOf, withOrderOptions } from './order-options.ts';
import { mebibytes, milliseconds, print, printJson, table } from './text.ts';

export function planCommand(program: Command): void {
  withAdminOptions(
    withOrderOptions(
      program
        .command('plan <app>')
        .description('what moving an app would cost by each strategy; touches nothing'),
    ),
  ).action(async (app: string, options: AdminOptions & OrderOptions) => {
    const plan = await (await connect(options)).post<Plan>('/v1/plans', requestOf(app, options));
    if (options.json) printJson(plan);
    else print(planText(plan));
  });
}

function planText({ strategy, reason, predictions, measured }: Plan): string {
  const { rttMs, rateBps, memoryBytes, dirtyBytesPerS, hotBytes, learntFrom } = measured;
  const rows = predictions.map((prediction) => [
    prediction.strategy === strategy ? '*' : '',
    prediction.strategy,
    milliseconds(prediction.frozenMs),
    milliseconds(prediction.holdMs),
    milliseconds(prediction.totalMs),
    mebibytes(prediction.bytesSent),
    String(prediction.rounds),
    prediction.remark,
  ]);
  return [
    `link    ${milliseconds(rttMs)} round trip, ${(rateBps / 1e6).toFixed(0)} Mbit/s\n`,
    `memory  ${mebibytes(memoryBytes)}, ${mebibytes(dirtyBytesPerS)}/s written, ${mebibytes(hotBytes)} again and again\n`,
    `learnt  ${learntFrom === 0 ? 'nothing yet of these two hosts: fixed costs are assumed' : `from ${learntFrom} moves between these two hosts`}\n\n`,
    table(['', 'STRATEGY', 'FROZEN', 'HOLD', 'TOTAL', 'SENT', 'ROUNDS', 'REMARK'], rows),
    `\n${strategy}: ${reason}\n`,
  ].join('');
}
