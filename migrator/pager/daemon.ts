import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import path from 'node:path';
import { errorLines } from '../criu/errors.ts';
import { readLog } from '../criu/log.ts';
import { childrenOf } from '../engine/oci/processes.ts';
import { slowDown } from '../haste.ts';
import { pagerFailed } from './errors.ts';
import { PagerFile } from './protocol.ts';

/**
 * Runs the daemon, and kills every process of the container, frozen or not, the moment it ends badly: when it does, the
 * kernel answers their faults with zeros. It does so as well when the pager was killed, which the daemon does not survive. Whoever ends
 * a service sends its signals to all of it: neither of the two may go by that.
 */
const GUARD = `
trap '' TERM HUP INT
cgroup=$1
shift
"$@"
code=$?
if [ $code -ne 0 ]; then
  while pids=$(find "$cgroup" -name cgroup.procs -exec cat {} + 2>/dev/null); [ -n "$pids" ]; do
    kill -9 $pids 2>/dev/null
    [ ! -e "$cgroup/freezer.state" ] || echo THAWED >"$cgroup/freezer.state"
  done
fi
exit $code`;

/** `criu lazy-pages`, and its end of the page server's protocol. */
export class Daemon {
  readonly #child: ChildProcess;
  readonly #logFile: string;
  /** Where it asks for pages; undefined when it reads them from its images. */
  readonly socket: Socket | undefined;
  /** Settles when it has ended: with its exit code. */
  readonly ended: Promise<number>;

  private constructor(child: ChildProcess, socket: Socket | undefined, logFile: string) {
    this.#child = child;
    this.#logFile = logFile;
    this.socket = socket;
    this.ended = new Promise((resolve) => {
      child.once('error', () => resolve(127));
      child.once('exit', (code) => resolve(code ?? 128));
    });
  }

  /**
   * Settles when it listens for a restore in `workDir`.
   *
   * @param options.asks for its pages; if not, they are in its images
   * @throws HoldfastError `PAGER_FAILED`
   */
  static async start(options: {
    imagesDir: string;
    workDir: string;
    cgroupDir: string;
    asks?: boolean;
  }): Promise<Daemon> {
    const { imagesDir, workDir, cgroupDir, asks = false } = options;
    const [ours, its] = asks ? await socketPair() : [];
    // The daemon logs each page at a higher level: without it this is a line for every failure.
    const criu = ['criu', 'lazy-pages', '-v1', '--log-file', PagerFile.daemonLog];
    const dirs = ['--images-dir', imagesDir, '--work-dir', workDir];
    const fds = ['--status-fd', '3', ...(asks ? ['--page-server', '--ps-socket', '4'] : [])];
    const child = spawn('sh', ['-c', GUARD, 'guard', cgroupDir, ...criu, ...dirs, ...fds], {
      // In a group of its own, to be killed with its guard and nothing else.
      detached: true,
      stdio: ['ignore', 'inherit', 'inherit', 'pipe', ...(its ? [its] : [])],
      cwd: workDir,
    });
    its?.destroy(); // The child has its own.
    const daemon = new Daemon(child, ours, path.join(workDir, PagerFile.daemonLog));
    const status = child.stdio[3] as Socket;
    const listens = once(status, 'data').then(() => true);
    listens.catch(() => {}); // Told by its end.
    const isUp = await Promise.race([listens, daemon.ended.then(() => false)]);
    status.destroy();
    if (!isUp) throw pagerFailed(`criu lazy-pages did not start: ${await daemon.lastWords()}`);
    // It never rests, and would leave the app too little were it to go first.
    for (const pid of await childrenOf(child.pid ?? 0)) slowDown(pid);
    return daemon;
  }

  /** What it had to say of its end. */
  async lastWords(): Promise<string> {
    return errorLines(await readLog(this.#logFile)).join('; ') || 'it says nothing of the reason';
  }

  /** Only when nobody is left who could meet a missing page. */
  async kill(): Promise<void> {
    if (this.#child.pid !== undefined) {
      try {
        process.kill(-this.#child.pid, 'SIGKILL');
      } catch {
        // It has ended in the meantime.
      }
    }
    await this.ended;
  }
}

/** Two ends of one connection that nobody else can come by: pages hold all secrets of their app. */
async function socketPair(): Promise<[ours: Socket, its: Socket]> {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  try {
    const { port } = server.address() as AddressInfo;
    const its = connect({ port, host: '127.0.0.1' });
    const ours = await new Promise<Socket>((resolve, reject) => {
      its.once('error', reject);
      server.on('connection', (socket) => {
        // A port of loopback is open to everybody here: whoever else came is sent away.
        if (socket.remotePort === its.localPort) resolve(socket);
        else socket.destroy();
      });
    });
    ours.setNoDelay(true);
    return [ours, its];
  } finally {
    server.close();
  }
}
