import { type ContainerReport, STATE_UNKNOWN } from '../../migrator/agent/protocol.ts';
import { ContainerState } from '../../migrator/engine/engine.ts';
import type { HostAnswer } from './survey.ts';

/** Where an app runs, judged by what the hosts answered. */
export type Verdict =
  | { readonly kind: 'runs'; readonly host: string }
  /** More than one host has it running: two copies whose states drift apart. */
  | { readonly kind: 'twice'; readonly hosts: readonly string[] }
  /** No host that answered has it; these did not answer, or what runs containers there did not. */
  | { readonly kind: 'unsure'; readonly silent: readonly string[] }
  | { readonly kind: 'nowhere' };

export function judge(container: string, answers: readonly HostAnswer<ContainerReport[]>[]): Verdict {
  const hosts: string[] = [];
  const silent: string[] = [];
  for (const answer of answers) {
    const report = answer.reachable ? answer.answer.find(({ name }) => name === container) : undefined;
    if (!answer.reachable || report?.state === STATE_UNKNOWN) silent.push(answer.host);
    else if (report !== undefined && isAlive(report)) hosts.push(answer.host);
  }
  const [host, ...others] = hosts;
  if (host !== undefined) return others.length === 0 ? { kind: 'runs', host } : { kind: 'twice', hosts };
  return silent.length > 0 ? { kind: 'unsure', silent } : { kind: 'nowhere' };
}

/** A frozen container is alive too: it goes on as soon as it is thawed. */
function isAlive(report: ContainerReport): boolean {
  return report.state === ContainerState.running || report.state === ContainerState.frozen;
}

export interface Place {
  readonly host: string | undefined;
  /** The hosts have said so since this gateway started, rather than the file from before. */
  readonly confirmed: boolean;
}

/** What to go by: the last known place stands for as long as nothing speaks against it. */
export function placeOf(verdict: Verdict, lastKnown: string | undefined): Place {
  switch (verdict.kind) {
    case 'runs':
      return { host: verdict.host, confirmed: true };
    case 'twice':
      return { host: verdict.hosts.find((host) => host === lastKnown), confirmed: false };
    case 'unsure':
      return { host: verdict.silent.find((host) => host === lastKnown), confirmed: false };
    case 'nowhere':
      return { host: undefined, confirmed: true };
  }
}
