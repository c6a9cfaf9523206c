import { cpSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { CRIU_OPTIONS } from '../../../../../migrator/criu/options.ts';
import {
  type Announcement,
  announceRestore,
} from '../../../../../migrator/engine/docker/runtime/announcement.ts';
import { RUNTIME } from '../../../../../migrator/engine/docker/runtime/install.ts';
import { ANNOUNCED_DIR, AtStart } from '../../../../../migrator/engine/docker/runtime/wrapper.ts';
import { build, PLAIN_NODE } from '../../../../build.mjs';
import { APP_IMAGE, type LabDocker, runApp } from '../../../../lab/docker.ts';
import type { LabHost } from '../../../../lab/lab.ts';

/* A move by hand: what the runtime is for, without agents and gateway. */

export const NAME = 'shop';
const CHECKPOINT_DIR = '/run/by-hand';
export const IMAGES_DIR = `${CHECKPOINT_DIR}/images`;
const TIMEOUT_MS = 60_000;

export interface AppState {
  readonly startedAt: string;
  readonly users: number;
}

export async function stateOf({ host }: LabDocker, port = 8080): Promise<AppState> {
  const response = await fetch(`http://${host.address}:${port}/state`, {
    signal: AbortSignal.timeout(2_000),
  });
  return (await response.json()) as AppState;
}

export async function sh(host: LabHost, script: string): Promise<string> {
  const { stdout } = await host.exec('sh', ['-ec', script], { signal: AbortSignal.timeout(TIMEOUT_MS) });
  return stdout.trim();
}

/** A checkpoint of the app as it was after one visit, in `CHECKPOINT_DIR` of the host. The app is gone then. */
export async function checkpoint(docker: LabDocker): Promise<AppState> {
  const { host } = docker;
  await runApp(docker);
  await fetch(`http://${host.address}:8080/visit`, {
    headers: { 'x-load-id': '1', cookie: 'session=ann' },
    signal: AbortSignal.timeout(2_000),
  });
  const state = await stateOf(docker);
  await dump(docker);
  return state;
}

/** Freeze the app, write its checkpoint and remove it. */
export async function dump(docker: LabDocker): Promise<void> {
  const id = await docker.docker('inspect', '-f', '{{.Id}}', NAME);
  await sh(
    docker.host,
    `rm -rf ${CHECKPOINT_DIR}; mkdir -p ${CHECKPOINT_DIR}/images ${CHECKPOINT_DIR}/work
     printf '%s\\n' ${CRIU_OPTIONS.map((option) => `'${option}'`).join(' ')} >${CHECKPOINT_DIR}/criu.conf
     runc --root /run/docker/runtime-runc/moby pause ${id}
     export CRIU_CONFIG_FILE=${CHECKPOINT_DIR}/criu.conf
     runc --root /run/docker/runtime-runc/moby checkpoint --file-locks --tcp-skip-in-flight --manage-cgroups-mode ignore \
       --image-path ${CHECKPOINT_DIR}/images --work-path ${CHECKPOINT_DIR}/work ${id}
     docker rm -f ${NAME}`,
  );
}

/** @param what of it; all when not given */
export function copyCheckpoint(from: LabDocker, to: LabDocker, what = ''): void {
  const dirs = [from, to].map(({ host }) => path.join(host.rootDir, CHECKPOINT_DIR, what));
  cpSync(dirs[0] ?? '', dirs[1] ?? '', { recursive: true });
}

export const announcedDir = ({ host }: LabDocker) => path.join(host.rootDir, ANNOUNCED_DIR);

export interface Awaited {
  readonly id: string;
  readonly announcement: Announcement;
  /** The end of `docker start`: null when it succeeded, else what it said. */
  readonly started: Promise<string | null>;
}

/** Make the app's container, and start it as far as it goes before there is more of the checkpoint than runc is told ahead. */
export async function standBy(
  docker: LabDocker,
  from: LabDocker,
  more: readonly string[] = [],
): Promise<Awaited> {
  const signal = AbortSignal.timeout(TIMEOUT_MS);
  const create = ['create', '--runtime', RUNTIME, '--name', NAME, '-p', '8080:8080', ...more, APP_IMAGE];
  const id = await docker.docker(...create);
  copyCheckpoint(from, docker, 'images/descriptors.json');
  const dirs = ['--image-path', `${CHECKPOINT_DIR}/images`, '--work-path', `${CHECKPOINT_DIR}/work`];
  const args = [...dirs, '--manage-cgroups-mode', 'ignore', '--file-locks'];
  const announcement = await announceRestore(id, args, signal, announcedDir(docker));
  const started = docker.docker('start', NAME).then(
    () => null,
    (error: Error) => error.message,
  );
  await announcement.waiting(signal);
  return { id, announcement, started };
}

export function restore({ announcement }: Awaited, atStart: AtStart = AtStart.resume): Promise<void> {
  return announcement.restore({ criuOptions: CRIU_OPTIONS, atStart });
}

/** What of containers there is on a host, whatever Docker says: processes, runc's records, announcements. */
export async function traces({ host }: LabDocker): Promise<string[]> {
  const said = await sh(
    host,
    `pgrep -fa '[s]erver.mjs' || true
     find /run/docker/runtime-runc ${ANNOUNCED_DIR} -mindepth 2 2>/dev/null || true
     find /sys/fs/cgroup -path '*/docker/*' -type d || true
     pgrep -a 'runc|criu|docker-runtime|containerd-shim' || true`,
  );
  return said.split('\n').filter(Boolean);
}

/** Whether the container's first process is stopped by a signal. */
export async function isStopped({ host, docker }: LabDocker): Promise<boolean> {
  const pid = await docker('inspect', '-f', '{{.State.Pid}}', NAME);
  return /^State:\s+T/m.test(readFileSync(path.join(host.rootDir, 'proc', pid, 'status'), 'utf8'));
}

/** Run the `gateway` program on a host, as whoever sets it up does. */
export async function gateway({ host }: LabDocker, ...args: readonly string[]): Promise<string> {
  const program = path.join('/opt/holdfast', build(), 'gateway/main.js');
  const { stdout } = await host.exec('/usr/bin/env', [...PLAIN_NODE, '/usr/bin/node', program, ...args], {
    signal: AbortSignal.timeout(TIMEOUT_MS),
  });
  return stdout;
}
