import { readFile, stat, statfs } from 'node:fs/promises';
import { dirname } from 'node:path';
import { cpuFault } from '../../criu/cpu.ts';
import { criuVersion } from '../../criu/version.ts';
import { ContainerState, type Finding, type Footprint } from '../engine.ts';
import type { RuncContainer } from './config.ts';
import { portTaken } from './connections.ts';
import { criuFinding } from './criu-finding.ts';
import type { RuncState } from './state.ts';

const TMPFS_MAGIC = 0x01021994;
const MIB = 1 << 20;
/** What images hold besides pages, and a restore needs besides memory. */
const SLACK_BYTES = 32 * MIB;

/** What stands against taking the container here. */
export async function admitContainer(
  name: string,
  container: RuncContainer,
  { state }: RuncState,
  footprint: Footprint,
  imagesDir: string,
  signal: AbortSignal,
): Promise<Finding[]> {
  if (footprint.engine !== 'runc') {
    return [
      {
        code: 'ENGINE_MISMATCH',
        message: `${name} runs under ${footprint.engine} at the source and would under runc here`,
        mend: 'configure the container for the same engine at both ends',
      },
    ];
  }
  const { arch, cpuinfo } = footprint.evidence;
  if (arch !== process.arch) {
    return [
      {
        code: 'ARCH_MISMATCH',
        message: `the source is ${arch}, this host is ${process.arch}`,
        mend: 'choose a destination of the same architecture',
      },
    ];
  }
  const findings = [
    ...criuFinding(await criuVersion(signal)),
    ...(await sourceFindings(container)),
    ...(await roomFindings(container, footprint, imagesDir)),
  ];
  if (state === ContainerState.running || state === ContainerState.frozen) {
    findings.push({
      code: 'CONTAINER_EXISTS',
      message: `${name} is ${state} here already`,
      mend: `remove it here, or make it the one that is served`,
    });
  } else if (await portTaken(container.port)) {
    findings.push({
      code: 'PORT_TAKEN',
      message: `something listens on port ${container.port} here`,
      mend: 'end it, or choose another destination',
    });
  }
  const fault = cpuinfo === undefined ? undefined : await cpuFault(cpuinfo, signal);
  if (fault !== undefined) {
    findings.push({
      code: 'CPU_FEATURES_MISSING',
      message: `the CPU here cannot go on with what ran on the source's: ${fault}`,
      mend: 'choose a destination with the same CPU or a newer one, or give both virtual machines one CPU model',
    });
  }
  return findings;
}

/** Whether what the container is made of is on this host. */
export async function sourceFindings(container: RuncContainer): Promise<Finding[]> {
  const findings: Finding[] = [];
  if (!(await exists(container.rootfs))) {
    findings.push({
      code: 'ROOTFS_MISSING',
      message: `there is no root file system at ${container.rootfs}`,
      mend: 'put the same root file system there as at the source',
    });
  }
  for (const { source } of container.mounts) {
    if (await exists(source)) continue;
    findings.push({
      code: 'MOUNT_SOURCE_MISSING',
      message: `there is no ${source} to mount`,
      mend: 'create it, with the same content as at the source if the app relies on it',
    });
  }
  return findings;
}

async function roomFindings(
  container: RuncContainer,
  { memoryBytes }: Footprint,
  imagesDir: string,
): Promise<Finding[]> {
  const findings: Finding[] = [];
  const images = await statfs(await nearestExisting(imagesDir));
  const freeBytes = images.bavail * images.bsize;
  const imageBytes = memoryBytes + SLACK_BYTES;
  if (freeBytes < imageBytes) {
    findings.push({
      code: 'SPACE_TOO_SMALL',
      message: `the checkpoint takes ${mib(imageBytes)} MiB and ${imagesDir} has room for ${mib(freeBytes)}`,
      mend: "make room there, or move the agent's run directory",
    });
  }
  // Images on tmpfs and the memory restored from them are there at the same time.
  const neededBytes = memoryBytes + SLACK_BYTES + (images.type === TMPFS_MAGIC ? imageBytes : 0);
  const availableBytes = await memoryAvailable();
  if (availableBytes < neededBytes) {
    findings.push(
      memoryFinding(`the move takes ${mib(neededBytes)} MiB of memory and ${mib(availableBytes)} are free`),
    );
  } else if (container.memoryLimitBytes !== undefined && container.memoryLimitBytes < memoryBytes) {
    const limit = mib(container.memoryLimitBytes);
    findings.push(
      memoryFinding(`the app has ${mib(memoryBytes)} MiB in use and is limited to ${limit} here`),
    );
  }
  return findings;
}

function memoryFinding(message: string): Finding {
  return {
    code: 'MEMORY_TOO_SMALL',
    message,
    mend: 'free memory, raise the limit, or choose another destination',
  };
}

async function memoryAvailable(): Promise<number> {
  const text = await readFile('/proc/meminfo', 'utf8');
  return Number(/^MemAvailable:\s*(\d+) kB/m.exec(text)?.[1] ?? 0) * 1024;
}

function mib(sizeBytes: number): number {
  return Math.ceil(sizeBytes / MIB);
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}

async function nearestExisting(path: string): Promise<string> {
  let nearest = path;
  while (!(await exists(nearest)) && nearest !== '/') nearest = dirname(nearest);
  return nearest;
}
