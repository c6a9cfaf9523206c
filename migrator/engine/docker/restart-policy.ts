import { within } from '../../within.ts';
import type { RestartPolicy } from './hands.ts';
import type { DockerApi } from './settings/docker-api.ts';
import type { InspectedState } from './settings/inspected.ts';

/**
 * Have Docker restart a container again as it was asked to. While it was told not to, it has restarted nothing, neither
 * after an end of the app nor after one of the host: what it would have restarted is started now.
 */
export async function putBack(
  api: DockerApi,
  id: string,
  policy: RestartPolicy,
  signal: AbortSignal,
): Promise<void> {
  if ((await api.container(id)) === undefined) return;
  await api.updateContainer(id, { RestartPolicy: policy });
  // What ends from here on is Docker's own to restart.
  const { State } = (await api.container(id)) ?? {};
  if (State === undefined || !isRestarted(policy, State)) return;
  if (await api.wasEndedByHand(id, State.StartedAt)) return;
  await within(api.startContainer(id), signal);
}

function isRestarted({ Name }: RestartPolicy, { Status, ExitCode }: InspectedState): boolean {
  if (Status !== 'exited') return false;
  return Name === 'always' || Name === 'unless-stopped' || (Name === 'on-failure' && ExitCode !== 0);
}
