/** A proxy in a process of its own, for many.test.ts: its memory is nobody else's. Commands come over IPC. */
import diagnostics from 'node:diagnostics_channel';
import { type FrontOptions, startFrontFor } from '../proxy/harness.ts';

export type Command =
  | { readonly do: 'start'; readonly url: string; readonly options: FrontOptions }
  | { readonly do: 'hold' | 'release' | 'held' | 'sent'; readonly url: string };

// It lives until it is killed.
const scope = { teardown: () => {} };
let front: Awaited<ReturnType<typeof startFrontFor>> | undefined;
const sent: string[] = [];
diagnostics.subscribe('undici:client:sendHeaders', (message) => {
  sent.push((message as { request: { path: string } }).request.path);
});

async function obey(command: Command): Promise<unknown> {
  if (command.do === 'start') {
    front = await startFrontFor(scope, { url: command.url }, command.options);
    return front.port;
  }
  if (command.do === 'sent') return sent;
  if (command.do === 'held') return front?.gates.snapshot('app').heldRequests;
  if (command.do === 'hold') {
    return front?.gates.hold('app', { drainTimeoutMs: 5_000, signal: AbortSignal.timeout(5_000) });
  }
  return front?.gates.release('app', { host: 'b', url: command.url });
}

process.on('message', (command: Command) => {
  obey(command).then(
    (value) => process.connected && process.send?.({ value }),
    (error) => process.send?.({ error: String(error) }),
  );
});
