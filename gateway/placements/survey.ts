import type { AgentInfo, ContainerReport } from '../../migrator/agent/protocol.ts';
import { type ErrorBody, toErrorBody } from '../../migrator/errors.ts';

/** What the gateway itself asks of the agent on a host; the moves are the migrator's. */
export interface ContainerHost {
  readonly host: string;
  info(signal: AbortSignal): Promise<AgentInfo>;
  containers(signal: AbortSignal): Promise<ContainerReport[]>;
  start(container: string, signal: AbortSignal): Promise<void>;
  remove(container: string, signal: AbortSignal): Promise<void>;
}

/** One host's answer, or why there is none. */
export type HostAnswer<T> =
  | { readonly host: string; readonly reachable: true; readonly answer: T }
  | { readonly host: string; readonly reachable: false; readonly error: ErrorBody };

/** Ask every host at once; none holds up the others beyond the deadline of `signal`. Never rejects. */
export function askAll<T>(
  hosts: Iterable<ContainerHost>,
  question: (host: ContainerHost) => Promise<T>,
): Promise<HostAnswer<T>[]> {
  return Promise.all(
    [...hosts].map(async (host): Promise<HostAnswer<T>> => {
      try {
        return { host: host.host, reachable: true, answer: await question(host) };
      } catch (error) {
        return { host: host.host, reachable: false, error: toErrorBody(error) };
      }
    }),
  );
}
