import { readdir, readFile, rm } from 'node:fs/promises';
import type Docker from 'dockerode';
import { killOperation } from '../oci/operation.ts';
import { childrenOf } from '../oci/processes.ts';
import { readState } from '../oci/state.ts';
import { type Hand, NEVER } from './hands.ts';
import type { Places } from './places.ts';
import { RUNTIME } from './runtime/install.ts';
import { type DockerApi, dockerApi } from './settings/docker-api.ts';
import type { Inspected } from './settings/inspected.ts';

/**
 * Kill a container in whatever condition it is, running, frozen or half restored, and have Docker forget it. Its image,
 * its volumes and its networks stay. Settles at once when there is none.
 */
export async function removeContainer(
  docker: Docker,
  { name, dockerName, places }: { name: string; dockerName: string; places: Places },
  hand: Hand | undefined,
  signal: AbortSignal,
): Promise<void> {
  const api = dockerApi(docker, signal);
  const found = await inHand(api, dockerName, hand);
  if (found === undefined) return;
  const { Id, HostConfig } = found;
  if (HostConfig.RestartPolicy.Name !== NEVER.Name) await api.updateContainer(Id, { RestartPolicy: NEVER });
  // What is frozen takes Docker's signal only once it runs again, which it must not.
  await killProcesses(places, name, Id, signal);
  await api.removeContainer(Id);
  places.forget(name);
}

/** Kill what a container consists of, without asking Docker: it may be away, and the processes live on without it. */
export async function killProcesses(
  places: Places,
  name: string,
  id: string,
  signal: AbortSignal,
): Promise<void> {
  const known = places.known(name); // Also where runc has no record of it yet: it may be in the middle of its restore.
  const place = known?.id === id ? known : await places.learn(name, id).catch(() => undefined);
  if (place === undefined) return; // No shim has it.
  const { cgroup } = await readState(place);
  await cgroup.kill(signal);
  await killOperation(place.operationFile, signal);
  await rm(place.operationFile, { force: true });
  await cgroup.kill(signal);
}

/** During a move only what is in its hands; otherwise whatever has the name. */
async function inHand(
  api: DockerApi,
  dockerName: string,
  hand: Hand | undefined,
): Promise<Inspected | undefined> {
  if (hand?.id !== undefined) return api.container(hand.id);
  const found = await api.container(dockerName);
  if (hand?.role !== 'arriving') return found;
  // Made for the move by an agent that did not live to write it down: nobody has ever started it.
  const isOurs = found?.State.Status === 'created' && found.HostConfig.Runtime === RUNTIME;
  return isOurs ? found : undefined;
}

/** What a runtime is called for while a container comes here: the wrapper's `create`, and what becomes of it. */
const COMMANDS = ['create', 'restore'];

/**
 * End a restore of this container in the runtime, and CRIU with it, wherever it stands: one that has been ordered and not begun
 * would begin although nobody waits for it any more.
 */
export async function killRestore(id: string): Promise<void> {
  for (const pid of await readdir('/proc')) {
    if (!/^\d+$/.test(pid)) continue;
    const words = (await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')).split('\0');
    if (!words.includes(id) || !COMMANDS.some((command) => words.includes(command))) continue;
    for (const each of await descendants(Number(pid))) killQuietly(each);
    killQuietly(Number(pid));
  }
}

async function descendants(pid: number): Promise<number[]> {
  const children = await childrenOf(pid);
  return [...children, ...(await Promise.all(children.map(descendants))).flat()];
}

function killQuietly(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It has ended in the meantime.
  }
}
