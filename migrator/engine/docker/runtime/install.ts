import { chmod, mkdir, readFile, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { HoldfastError } from '../../../errors.ts';
import { loadRuntimes, type RunningDocker } from './daemon.ts';
import { type DaemonJson, type Removal, readDaemonJson, withoutRuntime, withRuntime } from './daemon-json.ts';
import { WRAPPER } from './wrapper.ts';
import { writeWhole } from './write-whole.ts';

/** The runtime's name in Docker's configuration. */
export const RUNTIME = 'holdfast';

export interface InstallOptions {
  /** Docker's configuration file. */
  readonly daemonJson: string;
  /** Where the runtime is put, for as long as a container uses it. */
  readonly wrapperFile: string;
  /** The Docker Engine that is to load it; none when it does not run. */
  readonly docker: RunningDocker | undefined;
  readonly signal: AbortSignal;
}

export const DEFAULT_DAEMON_JSON = '/etc/docker/daemon.json';
export const DEFAULT_WRAPPER_FILE = '/usr/local/lib/holdfast/docker-runtime';

/** What was there before the first install, to be put back by uninstall. */
const backupOf = (daemonJson: string) => `${daemonJson}.before-holdfast`;

/**
 * Register the runtime with Docker. What daemon.json says otherwise is kept, no container is disturbed, and it may be
 * repeated.
 *
 * @returns what was done, in lines
 * @throws `DAEMON_JSON_INVALID`, `RUNTIME_NAME_TAKEN`, `RUNTIME_NOT_LOADED` (then daemon.json is as it was)
 */
export async function installRuntime(options: InstallOptions): Promise<string[]> {
  const { daemonJson, wrapperFile, docker, signal } = options;
  const before = await readDaemonJson(daemonJson);
  const after = withRuntime(before, RUNTIME, wrapperFile, daemonJson);
  const done: string[] = [];
  if ((await readFile(wrapperFile, 'utf8').catch(() => '')) !== WRAPPER) {
    await mkdir(dirname(wrapperFile), { recursive: true });
    await writeWhole(wrapperFile, WRAPPER);
    await chmod(wrapperFile, 0o755);
    done.push(`wrote the runtime, ${wrapperFile}`);
  }
  if (after === undefined) {
    done.push(`${daemonJson} has the runtime ${RUNTIME} already`);
  } else {
    if (before !== undefined) {
      await writeWhole(backupOf(daemonJson), before.text, before.mode);
      done.push(`kept a copy of ${daemonJson} as ${backupOf(daemonJson)}`);
    }
    await mkdir(dirname(daemonJson), { recursive: true });
    await writeWhole(daemonJson, after, before?.mode);
    done.push(`registered the runtime ${RUNTIME} in ${daemonJson}`);
  }
  try {
    done.push(await loadRuntimes(docker, RUNTIME, true, signal));
  } catch (error) {
    if (after !== undefined) await putBack(daemonJson, before);
    throw error;
  }
  return done;
}

/**
 * Take the runtime out of Docker's configuration again. May be repeated.
 *
 * @returns what was done, in lines
 * @throws `DOCKER_NOT_RUNNING`, `RUNTIME_IN_USE`, `DAEMON_JSON_INVALID`, `RUNTIME_NOT_LOADED` (then all is as it was)
 */
export async function uninstallRuntime(options: InstallOptions): Promise<string[]> {
  const { daemonJson, wrapperFile, docker, signal } = options;
  const before = await readDaemonJson(daemonJson);
  const done: string[] = [];
  const after = before && withoutRuntime(before, RUNTIME);
  if (before?.json['default-runtime'] === RUNTIME)
    throw inUse([`it is the default runtime in ${daemonJson}`]);
  if (docker === undefined) {
    throw new HoldfastError(
      'DOCKER_NOT_RUNNING',
      'Docker does not run: nobody can tell what uses the runtime',
      {
        mend: 'start Docker and try again',
      },
    );
  }
  const users = await docker.containersWith(RUNTIME, signal);
  if (users.length > 0) throw inUse(users.map((name) => `container ${name}`));
  if (before !== undefined && after !== undefined) {
    try {
      await writeWhole(daemonJson, after.toLoad, before.mode);
      done.push(await loadRuntimes(docker, RUNTIME, false, signal));
    } catch (error) {
      await putBack(daemonJson, before);
      throw error;
    }
    await leaveWithout(daemonJson, before, after);
    done.push(`took the runtime ${RUNTIME} out of ${daemonJson}`);
  } else {
    done.push(`${daemonJson} has no runtime ${RUNTIME}`);
  }
  await rm(wrapperFile, { force: true });
  return done;
}

/** To the letter what there was before the install, where nobody has changed anything else since. */
async function leaveWithout(daemonJson: string, before: DaemonJson, { toStay }: Removal): Promise<void> {
  const original = await readDaemonJson(backupOf(daemonJson)).catch(() => undefined);
  const json = JSON.parse(toStay) as Record<string, unknown>;
  if (original === undefined && Object.keys(json).length === 0) await rm(daemonJson);
  else if (original !== undefined && isDeepStrictEqual(original.json, json)) {
    await writeWhole(daemonJson, original.text, before.mode);
  } else await writeWhole(daemonJson, toStay, before.mode);
  await rm(backupOf(daemonJson), { force: true });
}

function inUse(users: readonly string[]): HoldfastError {
  return new HoldfastError('RUNTIME_IN_USE', `the runtime ${RUNTIME} is still in use: ${users.join(', ')}`, {
    mend: 'these could be neither stopped nor started without it: remove them, or make them anew with another runtime, first',
  });
}

async function putBack(daemonJson: string, before: DaemonJson | undefined): Promise<void> {
  if (before === undefined) await rm(daemonJson, { force: true });
  else await writeWhole(daemonJson, before.text, before.mode);
}
