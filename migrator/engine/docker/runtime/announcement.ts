import { constants, type FSWatcher, watch } from 'node:fs';
import { access, type FileHandle, mkdir, open, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { HoldfastError } from '../../../errors.ts';
import { run } from '../../../process.ts';
import { ANNOUNCED_DIR, Announced, type AtStart, Order } from './wrapper.ts';

export interface RestoreOrder {
  /** Lines of CRIU's configuration file. That the processes stay stopped at first is seen to here. */
  readonly criuOptions: readonly string[];
  /** Whether the processes run on as soon as Docker starts the container, or stay stopped. */
  readonly atStart: AtStart;
}

/**
 * A restore that Docker's runtime waits for. It lives in this process: when that dies, the wait ends as if called off, for
 * nobody could tell any more whether the app may run here.
 */
export interface Announcement {
  /** Settles when `create` of the container has come to the runtime, and runc to where it would have CRIU restore. @throws `DEADLINE` */
  waiting(signal: AbortSignal): Promise<void>;
  /**
   * Let the runtime restore now. How that ends is the end of `docker start`.
   *
   * @throws `RESTORE_NOT_AWAITED` when nothing waits (any more)
   */
  restore(order: RestoreOrder): Promise<void>;
  /** End the wait, now or when it comes to it: `docker start` fails. A second call does nothing, nor one after a restore. */
  callOff(): Promise<void>;
}

/** The part that is read here of a bundle's config.json. */
interface OciSpec {
  readonly linux?: {
    readonly sysctl?: Record<string, string>;
    readonly namespaces?: readonly { readonly type: string }[];
  };
}

/**
 * As at the dump: only a CRIU that manages cgroups makes the namespace again. Without it the
 * container would see the host's whole tree. The last flag of a name holds.
 */
const WITH_CGROUP_NAMESPACE = ['--manage-cgroups-mode', 'soft'];

/** What CRIU is told at every restore. */
const ALWAYS = ['leave-stopped'];

/**
 * Announce that the container made by `docker create` will be restored. From now on its `create` waits, and it is never
 * started afresh, until `forgetAnnouncement`. Best done before `docker start` is asked for.
 *
 * @param id the full container id
 * @param args further ones of `runc restore`: `--image-path`, `--work-path`, … There need not be images before the order
 */
export async function announceRestore(
  id: string,
  args: readonly string[],
  signal: AbortSignal,
  announcedDir = ANNOUNCED_DIR,
): Promise<Announcement> {
  const dir = dirOf(id, announcedDir);
  await rm(dir, { recursive: true, force: true });
  await mkdir(dir, { recursive: true, mode: 0o700 });
  const fifo = join(dir, Announced.order);
  await run('mkfifo', ['-m', '600', fifo], { signal });
  let writer: FileHandle | undefined = await openForWriting(fifo);
  const say = async (word: string) => {
    if (writer === undefined) throw new Error('it was called off');
    await writer.write(`${word}\n`);
  };
  const close = async () => {
    const open = writer;
    writer = undefined;
    await open?.close();
  };
  return {
    async waiting(until) {
      await madeIn(dir, Announced.waiting, until);
      const { linux } = JSON.parse(await readFile(join(dir, Announced.waiting), 'utf8')) as OciSpec;
      const hasCgroupNamespace = linux?.namespaces?.some(({ type }) => type === 'cgroup') ?? false;
      await writeFile(join(dir, Announced.sysctls), networkSysctls(linux?.sysctl ?? {}));
      const all = [...args, ...(hasCgroupNamespace ? WITH_CGROUP_NAMESPACE : [])];
      await writeFile(join(dir, Announced.arguments), lines(all));
      await say(Order.prepare);
      await madeIn(dir, Announced.held, until);
    },
    async restore({ criuOptions, atStart }) {
      // Connections to itself need a loopback device that is up: see the runtime.
      const script = criuOptions.includes('tcp-established')
        ? [`action-script ${join(ANNOUNCED_DIR, id, Announced.criu)}`]
        : [];
      await Promise.all([
        writeFile(join(dir, Announced.criuConfig), lines([...criuOptions, ...ALWAYS, ...script])),
        writeFile(join(dir, Announced.atStart), lines([atStart])),
      ]);
      try {
        await say(Order.restore);
      } catch (cause) {
        throw new HoldfastError(
          'RESTORE_NOT_AWAITED',
          `Docker does not wait for the restore of ${id} any more`,
          {
            retryable: true,
            mend: 'try the move again',
            cause,
          },
        );
      } finally {
        await close();
      }
    },
    callOff: close,
  };
}

/**
 * Remove what is left of an announcement. To be called when the container is removed: one that was called off stays announced
 * until then, so that nothing can start it afresh. Where it was restored, its start has removed it already.
 */
export async function forgetAnnouncement(id: string, announcedDir = ANNOUNCED_DIR): Promise<void> {
  await rm(dirOf(id, announcedDir), { recursive: true, force: true });
}

function dirOf(id: string, announcedDir: string): string {
  if (!/^[0-9a-f]{64}$/.test(id)) throw new Error(`${id} is no full container id`);
  return join(announcedDir, id);
}

/** A FIFO cannot be opened for writing alone before somebody reads; one that reads and writes can, for the moment. */
async function openForWriting(fifo: string): Promise<FileHandle> {
  const both = await open(fifo, constants.O_RDWR | constants.O_NONBLOCK);
  try {
    return await open(fifo, constants.O_WRONLY | constants.O_NONBLOCK);
  } finally {
    await both.close();
  }
}

/** Settles when the file `name` is in `dir`. */
async function madeIn(dir: string, name: string, signal: AbortSignal): Promise<void> {
  let giveUp = () => {};
  let watcher: FSWatcher | undefined;
  try {
    await new Promise<void>((resolve, reject) => {
      const look = () => access(join(dir, name)).then(resolve, () => {});
      giveUp = () =>
        reject(
          new HoldfastError('DEADLINE', 'Docker did not come to restore the container in time', {
            retryable: true,
            cause: signal.reason,
          }),
        );
      signal.addEventListener('abort', giveUp, { once: true });
      if (signal.aborted) giveUp();
      watcher = watch(dir, look);
      watcher.once('error', reject);
      look(); // It may have been there before it was watched for.
    });
  } finally {
    watcher?.close();
    signal.removeEventListener('abort', giveUp);
  }
}

/** What Docker has set in the container's network namespace (unprivileged ports, for one). */
function networkSysctls(sysctl: Readonly<Record<string, string>>): string {
  const entries = Object.entries(sysctl).filter(([name]) => name.startsWith('net.'));
  return lines(entries.map(([name, value]) => `${name.replaceAll('.', '/')}=${value}`));
}

function lines(all: readonly string[]): string {
  return all.map((line) => `${line}\n`).join('');
}
