import { existsSync } from 'node:fs';
import { chmod, constants, mkdir, open, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { run } from '../../process.ts';
import type { OciContainer } from './container.ts';
import { DESCRIPTORS } from './dump-args.ts';
import { OnAbort } from './operation.ts';
import { type RuncResult, runc } from './runc.ts';

/**
 * What `runc restore` finds as `criu`. runc starts CRIU more than once; that it has mounted the root file system for it tells
 * the restore. A FIFO that is opened for reading alone waits for a writer, who may have died; with the end of the last
 * writer reading ends.
 */
const HOLDER = `#!/bin/sh
# Between runc and CRIU: a restore that Holdfast has begun ahead waits here for its images.
PATH=\${PATH#*:}
if [ -d "$HOLDFAST_RUNC_DIR/criu-root" ]; then
  exec 8<>"$HOLDFAST_ORDER" 9<"$HOLDFAST_ORDER" 8>&-
  : >"$HOLDFAST_ORDER.awaited"
  order=
  read -r order <&9
  exec 9<&-
  [ "$order" = restore ] || exit 1
fi
exec criu "$@"
`;

const ORDER = 'restore-order';
const POLL_MS = 5;

export interface HoldOptions {
  readonly container: OciContainer;
  readonly bundleDir: string;
  readonly imagesDir: string;
  /** On a file system that programs are run from. */
  readonly programsDir: string;
  readonly logFile: string;
  /** What the first process has for stdin, stdout and stderr, as runc records it. */
  readonly descriptors: readonly string[];
}

/**
 * A `runc restore` that is begun before there are images, and stops where it would have CRIU read them: what runc does up
 * to then is no part of the frozen time. It ends with the process that began it, for nobody could tell any more whether the
 * app may run here.
 */
export class HeldRestore {
  readonly imagesDir: string;
  readonly #order: (text: string) => Promise<unknown>;
  readonly #ended: Promise<RuncResult>;
  readonly #stop: AbortController;
  #over = false;

  private constructor(
    imagesDir: string,
    order: (text: string) => Promise<unknown>,
    ended: Promise<RuncResult>,
    stop: AbortController,
  ) {
    this.imagesDir = imagesDir;
    this.#order = order;
    this.#stop = stop;
    this.#ended = ended.finally(() => {
      this.#over = true;
    });
    this.#ended.catch(() => {}); // It is told by `go`.
  }

  /**
   * Settles when it waits, or has ended in vain. What it leaves then is the caller's to remove.
   *
   * @param args of `runc`, from its own options to the container's id
   * @throws HoldfastError `DEADLINE`
   */
  static async begin(
    args: readonly string[],
    options: HoldOptions,
    signal: AbortSignal,
  ): Promise<HeldRestore> {
    const { container, bundleDir, imagesDir, programsDir, logFile } = options;
    const order = join(bundleDir, ORDER);
    const awaited = `${order}.awaited`;
    const tidy = () => Promise.all([order, awaited].map((file) => rm(file, { force: true })));
    await tidy();
    await run('mkfifo', ['-m', '600', order], { signal });
    await writeHolder(programsDir);
    await writeUnlessThere(join(imagesDir, DESCRIPTORS), JSON.stringify(options.descriptors));
    const writer = await open(order, constants.O_RDWR | constants.O_NONBLOCK);
    const stop = new AbortController();
    const ended = runc(args, {
      recordFile: container.operationFile,
      logFile,
      cwd: bundleDir,
      env: {
        PATH: `${programsDir}:${process.env.PATH ?? ''}`,
        HOLDFAST_ORDER: order,
        HOLDFAST_RUNC_DIR: join(container.runcRoot, container.id),
      },
      onAbort: OnAbort.kill,
      signal: stop.signal,
    }).finally(() => Promise.all([writer.close(), tidy()]));
    const held = new HeldRestore(imagesDir, (text) => writer.write(text), ended, stop);
    while (!held.isOver && !signal.aborted && !existsSync(awaited)) await sleep(POLL_MS);
    if (signal.aborted) await held.go(signal); // Its end.
    return held;
  }

  /** It has come to its end, and will restore nothing. */
  get isOver(): boolean {
    return this.#over;
  }

  /** The images are there: restore. Settles when runc has ended. @throws HoldfastError `DEADLINE` */
  async go(signal: AbortSignal): Promise<RuncResult> {
    const giveUp = () => this.#stop.abort(signal.reason);
    signal.addEventListener('abort', giveUp, { once: true });
    if (signal.aborted) giveUp();
    try {
      if (!this.#over && !signal.aborted) await this.#order('restore\n');
      return await this.#ended;
    } finally {
      signal.removeEventListener('abort', giveUp);
    }
  }
}

async function writeHolder(programsDir: string): Promise<void> {
  await mkdir(programsDir, { recursive: true, mode: 0o700 });
  const file = join(programsDir, 'criu');
  await writeFile(file, HOLDER);
  await chmod(file, 0o700);
}

async function writeUnlessThere(file: string, text: string): Promise<void> {
  await writeFile(file, text, { flag: 'wx', mode: 0o600 }).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'EEXIST') throw error;
  });
}
