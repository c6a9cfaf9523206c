import type { Duplex } from 'node:stream';
import type { Traffic } from '../transfer/traffic.ts';

/** What can be told of a container on a host, whatever runs it. */
export const ContainerState = {
  absent: 'absent',
  running: 'running',
  frozen: 'frozen',
  stopped: 'stopped',
} as const;
export type ContainerState = (typeof ContainerState)[keyof typeof ContainerState];

export interface ContainerStatus {
  readonly name: string;
  /** The engine's name: `runc`, … */
  readonly engine: string;
  readonly state: ContainerState;
  /** The port the app listens on at the host's address; 0 where that cannot be told, for it is not there. */
  readonly port: number;
}

/** One reason why a move cannot be made, found before anything is touched. Codes are listed in docs/errors.md. */
export interface Finding {
  readonly code: string;
  readonly message: string;
  readonly mend: string;
}

/** What the source tells the destination of a container before a move. */
export interface Footprint {
  readonly engine: string;
  readonly port: number;
  /** What a dump will write and a restore will fill: anonymous, shared and swapped memory of all processes. */
  readonly memoryBytes: number;
  readonly processes: number;
  /** The engine's own evidence for the other side's check (for CRIU engines its CPU image, base64). Opaque. */
  readonly evidence: Readonly<Record<string, string>>;
}

/** A directory made for one migration at one end, and what an engine keeps there. */
export interface Workspace {
  readonly migrationId: string;
  /** Holds the checkpoint: on tmpfs, empty at the start. What is sent is this directory's files, nothing else. */
  readonly imagesDir: string;
  /** For logs and scratch; never sent. */
  readonly workDir: string;
}

/** What a dump does with the memory of the processes. */
export const DumpMemory = {
  /** It is written to the images, all of it. */
  inImages: 'in-images',
  /**
   * It stays where it is: the images say which pages there are, and hold only those that cannot be brought later
   * (stacks, shared and locked memory). The rest is read from the frozen processes.
   */
  leftInPlace: 'left-in-place',
} as const;
export type DumpMemory = (typeof DumpMemory)[keyof typeof DumpMemory];

/** What one process has in memory that is its own, in a few bytes. See docs/verify.md. */
export interface ProcessSum {
  /** As it is called inside the container. */
  readonly pid: number;
  readonly sizeBytes: number;
  readonly sum: string;
}

/** The same of a stretch of its addresses: from `start`, in hexadecimal, to the next multiple of 1 MiB. */
export interface RangeSum {
  readonly start: string;
  readonly sum: string;
}

/** Whose turn on the link it is: files go before layers. */
export type CarriedAs = typeof Traffic.files | typeof Traffic.layers;

/** Opens streams to the same engine at the other end of a migration. */
export interface Carrier {
  /**
   * A stream that `receive` is given there. It half-closes: `end()` at one end is 'end' at the other. It finishes once
   * `receive` has settled, and its error is what `receive` failed with. Each costs a round trip, so have few.
   *
   * @param what a name that both ends know: [a-z0-9-]{1,64}
   * @param as files, when not given; of a frozen container it all goes before what other containers send ahead
   * @throws HoldfastError `LINK_BROKEN`, what the other agent answers
   */
  open(what: string, signal: AbortSignal, as?: CarriedAs): Promise<Duplex>;
}

/** What was put on the link, by what it is. */
export interface CarriedBytes {
  readonly layerBytes: number;
  readonly fileBytes: number;
}

/**
 * What a container owns besides its memory and has to bring along: its image, its settings, its files. An engine whose
 * containers are made of the same at both ends has none of it.
 */
export interface Belongings {
  /** Source, while the app runs. May be repeated: what is there already is not sent again. */
  sendAhead(name: string, workspace: Workspace, carrier: Carrier, signal: AbortSignal): Promise<CarriedBytes>;
  /**
   * Source, shortly before the freeze: what has changed since, and whatever of `sendRest` need not wait for the freeze.
   * Streams may stay open for that; what stands ready goes with `sendRest`, `letGo`, or after a while by itself.
   */
  getReady(name: string, workspace: Workspace, carrier: Carrier, signal: AbortSignal): Promise<CarriedBytes>;
  /** Source, container frozen, while it is dumped: what has changed since. */
  sendRest(name: string, workspace: Workspace, carrier: Carrier, signal: AbortSignal): Promise<CarriedBytes>;
  /** Destination: the other end of a stream. Settles when all of it has been taken in. */
  receive(
    name: string,
    workspace: Workspace,
    what: string,
    stream: Duplex,
    signal: AbortSignal,
  ): Promise<void>;
  /**
   * Destination, shortly before the freeze: whatever of a restore does not need the images.
   *
   * @param memory what the dump will do with it
   */
  standBy(name: string, workspace: Workspace, memory: DumpMemory, signal: AbortSignal): Promise<void>;
  /** Destination: the container is for good, with all of its memory. May be repeated, also where there was no move. */
  keep(name: string, signal: AbortSignal): Promise<void>;
  /** Source: the migration is over, however it ended; nothing is watched for it any more. May be repeated as well. */
  letGo(name: string, signal: AbortSignal): Promise<void>;
}

/**
 * What a host can do with containers. One implementation per container engine.
 *
 * Every method may be repeated after a crash: each brings about a state rather than making a step. All of them
 * settle within the deadline of `signal`, and leave no process behind when it fires (`dump` alone does: see there).
 */
export interface Engine {
  readonly name: string;
  readonly belongings?: Belongings;
  /** The container names this engine was told of. */
  containers(): readonly string[];
  status(name: string, signal: AbortSignal): Promise<ContainerStatus>;
  /** Start afresh and return once the health check passes. @throws `CONTAINER_EXISTS`, `HEALTH_CHECK_FAILED` */
  start(name: string, signal: AbortSignal): Promise<void>;
  /** Kill and forget the container, frozen or not. Settles at once when there is none. */
  remove(name: string, signal: AbortSignal): Promise<void>;
  /**
   * Destination: kill and forget what was made for a move since `prepare`, however far that came, and whether or not the
   * rest of the engine answers. Anything else of that name stays.
   */
  discard(name: string, signal: AbortSignal): Promise<void>;

  /** Source: what stands against a move, and what the move will carry. Touches nothing the app can notice. */
  examine(name: string, signal: AbortSignal): Promise<{ footprint: Footprint; findings: Finding[] }>;
  /** Destination: what stands against taking the container. */
  admit(name: string, footprint: Footprint, imagesDir: string, signal: AbortSignal): Promise<Finding[]>;

  /** Destination: everything a restore needs besides the images, done while the app still runs at the source. */
  prepare(name: string, workspace: Workspace, signal: AbortSignal): Promise<void>;

  /** Source: the container's processes, by the pids of this host. Empty when it does not run. */
  processes(name: string): Promise<readonly number[]>;
  /** Source: stop every process where it is. Settles when all are frozen. */
  freeze(name: string, signal: AbortSignal): Promise<void>;
  /**
   * Source: let it run on. Waits for a dump that is under way, so that no process wakes in the middle of one.
   *
   * @throws `OPERATION_UNDER_WAY` (retryable) when that dump outlasts `signal`
   */
  thaw(name: string, signal: AbortSignal): Promise<void>;
  /**
   * Source: write the frozen container's checkpoint to `workspace.imagesDir`; it stays frozen, also when this fails.
   * Its files only grow until this settles: they are sent while they are written.
   * A dump cannot be broken off without harm to the app. When `signal` fires, or the agent dies, it goes on by itself;
   * `thaw` sees it to its end, and `remove` ends it with the container.
   *
   * @throws `DUMP_FAILED`, `IMAGES_DISK_FULL`, `CONTAINER_NOT_FROZEN`
   */
  dump(name: string, workspace: Workspace, memory: DumpMemory, signal: AbortSignal): Promise<void>;
  /**
   * Destination: bring the container back to life from `workspace.imagesDir`. Settles when it runs. When it fails,
   * nothing of the container is left here, and it may be tried again.
   *
   * @param memory what the dump did with it. What it left in place is asked of whoever listens as CRIU's lazy-pages daemon
   *   in `workspace.workDir`, from the restore on and for as long as the container runs without all of it
   * @throws `RESTORE_FAILED`, `CONTAINER_EXISTS`
   */
  restore(name: string, workspace: Workspace, memory: DumpMemory, signal: AbortSignal): Promise<void>;
  /** Destination: the same, but every process stays where the dump left it: none runs before `resume`. */
  restoreFrozen(name: string, workspace: Workspace, memory: DumpMemory, signal: AbortSignal): Promise<void>;
  /** Destination: let a container go on that was restored frozen. */
  resume(name: string, signal: AbortSignal): Promise<void>;
  /**
   * Either end, while the container is frozen and after it was dumped: what its processes have in memory, in the order
   * of their pids. Two containers of the same sums have the same memory.
   *
   * @throws `MEMORY_UNREADABLE`, `CONTAINER_NOT_FROZEN`
   */
  sumMemory(name: string, workspace: Workspace, signal: AbortSignal): Promise<ProcessSum[]>;
  /** The same in more detail of one process, by its pid inside. Ranges that hold nothing are left out. */
  sumRanges(name: string, workspace: Workspace, pid: number, signal: AbortSignal): Promise<RangeSum[]>;
  /** Where the container's processes are, or will be, in the host's cgroup tree. */
  cgroupDir(name: string): Promise<string>;
  /** Settles when the container answers its health check. @throws `HEALTH_CHECK_FAILED` */
  healthy(name: string, signal: AbortSignal): Promise<void>;
}
