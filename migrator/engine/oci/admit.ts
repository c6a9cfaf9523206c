import { readFile, stat, statfs } from 'node:fs/promises';
import { dirname } from 'node:path';
import { cpuFault } from '../../criu/cpu.ts';
import { criuVersion } from '../../criu/version.ts';
import { ContainerState, type Finding, type Footprint } from '../engine.ts';
import { portTaken } from './connections.ts';
import { criuFinding } from './criu-finding.ts';
import type { OciState } from './state.ts';

const TMPFS_MAGIC = 0x01021994;
const MIB = 1 << 20;
/** What images hold besides pages, and a restore needs besides memory. */
const SLACK_BYTES = 32 * MIB;

/** What its engine knows of a container that is to be taken. */
export interface Admitted {
  readonly name: string;
  readonly engine: string;
  readonly port: number;
  readonly memoryLimitBytes?: number | undefined;
}

/** What stands against taking a checkpoint of the container here. */
export async function admitContainer(
  { name, engine, port, memoryLimitBytes }: Admitted,
  { state }: Pick<OciState, 'state'>,
  footprint: Footprint,
  imagesDir: string,
  signal: AbortSignal,
): Promise<Finding[]> {
  if (footprint.engine !== engine) {
    return [
      {
        code: 'ENGINE_MISMATCH',
        message: `${name} runs under ${footprint.engine} at the source and would under ${engine} here`,
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
    ...(await roomFindings(footprint, imagesDir, memoryLimitBytes)),
  ];
  if (state === ContainerState.running || state === ContainerState.frozen) {
    findings.push({
      code: 'CONTAINER_EXISTS',
      message: `${name} is ${state} here already`,
      mend: `remove it here, or make it the one that is served`,
    });
  } else if (await portTaken(port)) {
    findings.push({
      code: 'PORT_TAKEN',
      message: `something listens on port ${port} here`,
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

async function roomFindings(
  { memoryBytes }: Footprint,
  imagesDir: string,
  memoryLimitBytes: number | undefined,
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
  } else if (memoryLimitBytes !== undefined && memoryLimitBytes < memoryBytes) {
    const limit = mib(memoryLimitBytes);
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
