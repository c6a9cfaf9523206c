import { readFileSync } from 'node:fs';
import type { Finding } from '../../engine.ts';
import type { DockerShape } from './docker-settings.ts';
import { engineFindings, securityOf } from './engine-facts.ts';
import type { EngineInfo } from './inspected.ts';

/** In the order of the kernel's list: `NAME (enforce)`. */
const APPARMOR_PROFILES = '/sys/kernel/security/apparmor/profiles';
/** Made by every engine for itself. */
const ENGINES_OWN_PROFILES = ['', 'unconfined', 'docker-default'];

/** What stands against the container in the engine of the destination and in its host. */
export function admitEngine(info: EngineInfo, shape: DockerShape, runtime: string): Finding[] {
  const findings = engineFindings(info);
  if (!Object.hasOwn(info.Runtimes, runtime)) {
    findings.push({
      code: 'DOCKER_RUNTIME_MISSING',
      message: `Docker here has no runtime ${runtime}, by which containers are restored`,
      mend: 'gateway agent install',
    });
  }
  if (shape.logDriver !== 'none' && info.Plugins.Log?.includes(shape.logDriver) === false) {
    findings.push({
      code: 'LOG_DRIVER_MISSING',
      message: `Docker here has no log driver ${shape.logDriver}`,
      mend: 'install it, or start the container with another one',
    });
  }
  return [...findings, ...cpuFindings(info, shape), ...differences(info, shape).map(differing)];
}

function differing(how: string): Finding {
  return {
    code: 'DOCKER_DIFFERS',
    message: `the two Docker Engines differ: ${how}`,
    mend: 'make both alike, or choose another destination',
  };
}

function differences(info: EngineInfo, { engine, cgroupParent }: DockerShape): string[] {
  const found: string[] = [];
  if (info.CgroupVersion !== engine.cgroupVersion) {
    found.push(`cgroups of version ${engine.cgroupVersion} there, ${info.CgroupVersion} here`);
  }
  if (cgroupParent !== '' && info.CgroupDriver !== engine.cgroupDriver) {
    found.push(
      `--cgroup-parent is for ${engine.cgroupDriver}, and cgroups are made by ${info.CgroupDriver} here`,
    );
  }
  // CRIU holds what is mapped of a mounted file of the host against its build id.
  if (engine.initCommit !== undefined && engine.initCommit !== info.InitCommit?.ID) {
    found.push('the container has --init, and docker-init is another one here');
  }
  const confined = engine.appArmorProfile !== '';
  if (confined !== securityOf(info).includes('apparmor')) {
    found.push(confined ? 'AppArmor there, none here' : 'no AppArmor there, but here');
  } else if (!ENGINES_OWN_PROFILES.includes(engine.appArmorProfile) && !isLoaded(engine.appArmorProfile)) {
    found.push(`the AppArmor profile ${engine.appArmorProfile} is not loaded here`);
  }
  return found;
}

function isLoaded(profile: string): boolean {
  try {
    return readFileSync(APPARMOR_PROFILES, 'utf8')
      .split('\n')
      .some((line) => line.startsWith(`${profile} (`));
  } catch {
    return false;
  }
}

function cpuFindings({ NCPU }: EngineInfo, { cpus, cpuset }: DockerShape): Finding[] {
  const highest = Math.max(0, ...(cpuset.match(/\d+/g) ?? []).map((cpu) => Number(cpu) + 1));
  const needed = Math.max(cpus, highest);
  if (needed <= NCPU) return [];
  return [
    {
      code: 'CPUS_MISSING',
      message: `it is made for ${needed} CPUs (--cpus, --cpuset-cpus), and ${NCPU} are here`,
      mend: 'ask for fewer, or choose another destination',
    },
  ];
}
