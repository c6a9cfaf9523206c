import { readlink } from 'node:fs/promises';
import { basename } from 'node:path';
import type { Finding } from '../../engine.ts';
import type { DockerShape } from './docker-settings.ts';
import type { EngineInfo, Inspected } from './inspected.ts';

/** What containers are run by where Holdfast's runtime is not asked for. */
const RUNC = ['', 'runc', 'io.containerd.runc.v2', 'holdfast'];
/** The first that attaches a container to several networks at once (API 1.44). */
const OLDEST_RELEASE = 25;
const DOCKER_INIT = 'docker-init';

/** Whether this engine's containers can be moved at all, away or here. */
export function engineFindings(info: EngineInfo): Finding[] {
  const reasons: string[] = [];
  const release = Number.parseInt(info.ServerVersion, 10);
  const security = securityOf(info);
  if (release < OLDEST_RELEASE)
    reasons.push(`it is of release ${release}, and ${OLDEST_RELEASE} is the oldest`);
  if (info.OSType !== 'linux') reasons.push(`it runs containers of ${info.OSType}`);
  if (security.includes('rootless')) reasons.push('it runs without root, and CRIU needs it');
  if (security.includes('userns')) reasons.push('it maps users (userns-remap)');
  if (info.Driver !== 'overlay2' || info.DriverStatus?.some(([key]) => key === 'driver-type')) {
    reasons.push(`it keeps files by ${info.Driver}, and only overlay2 is known`);
  }
  return reasons.map((reason) => ({
    code: 'DOCKER_UNSUITABLE',
    message: `this host's Docker Engine is not one to move containers with: ${reason}`,
    mend: 'see docs/docker-settings.md for what an engine must be like',
  }));
}

/** @returns the container's runtime if it is not runc in the end */
export function foreignRuntime(info: EngineInfo, { HostConfig }: Inspected): string | undefined {
  const name = HostConfig.Runtime || info.DefaultRuntime;
  if (RUNC.includes(name)) return undefined;
  const { path = '', runtimeArgs = [] } = info.Runtimes[name] ?? {};
  return basename(path) === 'runc' && runtimeArgs.length === 0 ? undefined : name;
}

/** Whether docker-init is its first process, by its own wish or by the daemon's. */
export async function hasInit({ HostConfig, State }: Inspected): Promise<boolean> {
  if (typeof HostConfig.Init === 'boolean') return HostConfig.Init;
  const program = await readlink(`/proc/${State.Pid}/exe`).catch(() => '');
  return basename(program) === DOCKER_INIT;
}

export function engineFacts(info: EngineInfo, container: Inspected, init: boolean): DockerShape['engine'] {
  return {
    storageDriver: info.Driver,
    cgroupVersion: info.CgroupVersion,
    cgroupDriver: info.CgroupDriver,
    ...(init && info.InitCommit !== undefined ? { initCommit: info.InitCommit.ID } : {}),
    appArmorProfile: securityOf(info).includes('apparmor') ? container.AppArmorProfile : '',
  };
}

/** `name=apparmor`, `name=seccomp,profile=builtin` → the names. */
export function securityOf({ SecurityOptions }: EngineInfo): string[] {
  return (SecurityOptions ?? []).map((option) => /name=([^,]+)/.exec(option)?.[1] ?? '');
}
