/** A load in a process of its own, told what to do over IPC: see remote-load.ts. */
import { Load, type LoadOptions } from './load.ts';
import { type LoadReport, reportOf, type Window } from './report.ts';

export type LoadOrder =
  | { readonly n: number; readonly order: 'start'; readonly options: LoadOptions }
  | { readonly n: number; readonly order: 'flowing'; readonly timeoutMs: number }
  | { readonly n: number; readonly order: 'finish'; readonly windows: readonly Window[] };

export type LoadReply =
  | { readonly n: number; readonly report?: LoadReport }
  | { readonly n: number; readonly error: string };

let load: Load | undefined;

async function obey(order: LoadOrder): Promise<LoadReport | undefined> {
  if (order.order === 'start') {
    load = new Load(order.options);
    return undefined;
  }
  if (load === undefined) throw new Error('the load has not been started');
  if (order.order === 'finish') return reportOf(await load.finish(), order.windows);
  await load.flowing(AbortSignal.timeout(order.timeoutMs));
  return undefined;
}

process.on('message', async (order: LoadOrder) => {
  const reply = await obey(order).then(
    (report): LoadReply => ({ n: order.n, ...(report === undefined ? {} : { report }) }),
    (error: unknown): LoadReply => ({
      n: order.n,
      error: error instanceof Error ? error.message : String(error),
    }),
  );
  process.send?.(reply);
});
// Whoever started this load has gone, or wants it gone: nobody is left to report to.
process.on('disconnect', () => process.exit(0));
// Ctrl-C reaches the whole foreground group; when to end is the starter's decision.
process.on('SIGINT', () => {});
