import { statfs } from 'node:fs/promises';
import { release } from 'node:os';
import { dumpCpuImage } from '../../criu/cpu.ts';
import { criuVersion } from '../../criu/version.ts';
import { ContainerState, type Finding, type Footprint } from '../engine.ts';
import { isLoopback, outboundConnections } from './connections.ts';
import { criuFinding } from './criu-finding.ts';
import {
  controllingTerminal,
  hasHugetlb,
  hasOwn,
  isRoots,
  isStopped,
  mayReadLimits,
  memoryBytes,
  onOwnMount,
  openFiles,
  processStart,
  tracerOf,
} from './processes.ts';
import type { OciState } from './state.ts';

const TMPFS_MAGIC = 0x01021994;

/** What its engine knows of a container that is to be examined. */
export interface Examined {
  readonly name: string;
  readonly engine: string;
  readonly port: number;
  /** Where it has a tmpfs of its own, which travels with it. */
  readonly tmpfs: readonly string[];
  /** Whether connections that it has opened itself may be closed by the move. */
  readonly connections: 'refuse' | 'close';
}

/** What a move of this container carries, and what stands against it at the source. Only reads. */
export async function examineContainer(
  { name, engine, port, tmpfs, connections }: Examined,
  { state, initPid, cgroup }: OciState,
  signal: AbortSignal,
): Promise<{ footprint: Footprint; findings: Finding[] }> {
  const pids = await cgroup.pids();
  const version = await criuVersion(signal);
  const cpuImage = await dumpCpuImage(signal);
  const memory = await Promise.all(pids.map(memoryBytes));
  const footprint = {
    engine,
    port,
    memoryBytes: memory.reduce((sum, each) => sum + each, await tmpfsBytes(initPid, tmpfs)),
    processes: pids.length,
    evidence: {
      criuVersion: version,
      kernel: release(),
      arch: process.arch,
      ...(cpuImage === undefined ? {} : { cpuinfo: cpuImage }),
    },
  };
  const findings = [...criuFinding(version)];
  if (state !== ContainerState.running) {
    findings.push({
      code: 'CONTAINER_NOT_RUNNING',
      message: `${name} is ${state} here`,
      mend: 'start it, or move it from the host it runs on',
    });
    return { footprint, findings };
  }
  for (const pid of pids) findings.push(...(await examineProcess(pid, pid === initPid)));
  if (!(await mayReadLimits())) {
    for (const pid of pids) findings.push(...(await limitsFindings(pid)));
  }
  if (connections === 'refuse') findings.push(...(await connectionFindings(name, pids, initPid)));
  return { footprint, findings: onePerCode(findings) };
}

async function examineProcess(pid: number, isInit: boolean): Promise<Finding[]> {
  const findings: Finding[] = [];
  const files = await openFiles(pid);
  if (files.some(({ target }) => target === 'anon_inode:[io_uring]')) {
    findings.push({
      code: 'IO_URING_OPEN',
      message: `process ${pid} has io_uring open, which cannot be checkpointed`,
      mend: 'start the container with `seccomp: default`, which has the app do without',
    });
  }
  for (const { fd, target } of files.filter((file) => file.fd <= 2 && file.target.startsWith('/'))) {
    const foreign = !(await onOwnMount(pid, fd));
    if (isTerminal(target) && (isInit || foreign)) {
      findings.push(terminalFinding(pid, `fd ${fd} is ${target}`));
    } else if (foreign) {
      findings.push({
        code: 'STDIO_ON_HOST_FILE',
        message: `fd ${fd} of process ${pid} is ${target}, a file outside the container`,
        mend: 'start the container with /dev/null or pipes as its standard streams',
      });
    }
  }
  // A terminal that the app has made inside travels with it; one it was started on does not.
  if (isInit && controllingTerminal(pid) !== 0) {
    findings.push(terminalFinding(pid, 'it has a controlling terminal'));
  }
  if (isStopped(pid)) {
    findings.push({
      code: 'PROCESS_STOPPED',
      message: `process ${pid} was stopped by a signal, and CRIU would wait for it without end in a frozen cgroup`,
      mend: 'let it go on with SIGCONT, or end it',
    });
  }
  if (await hasHugetlb(pid)) {
    findings.push({
      code: 'HUGETLB_MAPPED',
      message: `process ${pid} has mapped reserved huge pages (hugetlb), which the destination may not have and which are not counted`,
      mend: 'let the app use transparent huge pages (madvise) instead',
    });
  }
  const tracer = await tracerOf(pid);
  if (tracer !== 0) {
    findings.push({
      code: 'PTRACED',
      message: `process ${pid} is traced by process ${tracer}, and CRIU has to trace it`,
      mend: 'end the debugger or tracer',
    });
  }
  return findings;
}

/** CRIU reads every process's limits; the kernel lets it where user and group are the same, or with the capability. */
async function limitsFindings(pid: number): Promise<Finding[]> {
  if ((await isRoots(pid)) || processStart(pid) === 0) return []; // One that has ended meanwhile has no owner.
  return [
    {
      code: 'CAPABILITY_MISSING',
      message: `process ${pid} is not root's, and the agent has no CAP_SYS_RESOURCE to read its limits with`,
      mend: 'give the agent all capabilities, or run the container as 0:0',
    },
  ];
}

function isTerminal(target: string): boolean {
  return /^\/dev\/(pts\/|tty|console)/.test(target);
}

function terminalFinding(pid: number, how: string): Finding {
  return {
    code: 'TERMINAL_ATTACHED',
    message: `process ${pid} is attached to a terminal outside the container: ${how}`,
    mend: 'start the container detached, without a terminal',
  };
}

async function connectionFindings(
  name: string,
  pids: readonly number[],
  initPid: number,
): Promise<Finding[]> {
  const opened = await outboundConnections(pids);
  // Those to itself come along, unless the loopback address is the host's.
  const remotes = (await hasOwn('net', initPid)) ? opened.filter((remote) => !isLoopback(remote)) : opened;
  if (remotes.length === 0) return [];
  return [
    {
      code: 'OPEN_CONNECTIONS',
      message: `${name} has connections open to ${[...new Set(remotes)].join(', ')}, which cannot follow it to another address`,
      mend: 'set `connections: close` for the container if the app connects anew by itself',
    },
  ];
}

function onePerCode(findings: readonly Finding[]): Finding[] {
  return [...new Map(findings.map((finding) => [finding.code, finding])).values()];
}

/** Files on the container's own tmpfs mounts travel inside the images. */
async function tmpfsBytes(initPid: number, dirs: readonly string[]): Promise<number> {
  if (initPid === 0) return 0;
  let sizeBytes = 0;
  for (const dir of dirs) {
    const fs = await statfs(`/proc/${initPid}/root${dir}`).catch(() => undefined);
    if (fs?.type === TMPFS_MAGIC) sizeBytes += (fs.blocks - fs.bfree) * fs.bsize;
  }
  return sizeBytes;
}
