import type { LabHost } from '../../test/lab/lab.ts';
import { APP_PORT } from '../../test/system/configs.ts';
import { nowMs } from '../../test/workload/exchange.ts';
import { Prober } from '../migrate/prober.ts';
import { healthy, overLink, shell } from '../plain/hand.ts';
import { dropConnections } from '../plain/runc.ts';
import { Switch } from '../plain/switch.ts';
import type { Measured } from './measurement.ts';
import { IMAGE, NAME, VOLUMES, volumeDir } from './scenario.ts';
import type { Stage } from './stage.ts';
import { Way } from './way.ts';

const RSYNC_PORT = 8730;
const RSYNC_CONFIG = `use chroot = no
uid = 0
gid = 0
pid file = /run/rsyncd.pid
[volumes]
path = /var/lib/docker/volumes
read only = no
`;
/** With all that Holdfast keeps. */
const RSYNC = 'rsync -aHAX --numeric-ids --delete';
const CHECKPOINT = 'c1';
/** Nobody listens there: a connection is refused at once. */
const NOWHERE = 1;
/** Docker's own checkpoint fails on its bridge networks when it is restored. */
const HOST_NETWORK = ['--network', 'host'];

/** The frozen part of a move, as far as there is one. */
type Stood = Pick<Measured, 'frozenMs' | 'engineMs' | 'lastPassMs'> & { readonly memoryBytes: number | null };

/**
 * The app on host a, moved to b by the commands of Docker and rsync, nothing encrypted and nothing packed, behind a front
 * that is switched over at the end. All that can be done before the app stands still is done before.
 */
export async function measureByHand(
  stage: Stage,
  way: typeof Way.stopAndStart | typeof Way.checkpoint,
  signal: AbortSignal,
): Promise<Measured> {
  const { a, b, meter } = stage;
  const hand = new Hand(stage, signal);
  let front: Switch | undefined;
  let prober: Prober | undefined;
  try {
    await hand.makeReady();
    await stage.startApp(HOST_NETWORK, signal);
    front = await Switch.listen(stage.front, { host: a.address, port: APP_PORT });
    prober = await Prober.start({ url: `http://${stage.front.host}:${stage.front.port}` }, signal);
    await prober.settle();
    const bytesBefore = await meter.bytes();
    const fromMs = nowMs();
    const image = await hand.counted(() => hand.moveImage());
    const filesAhead = await hand.counted(() => hand.passOverFiles());
    await stage.makeContainer(b, HOST_NETWORK);
    const stillFrom = await meter.bytes();
    const stood = way === Way.checkpoint ? await hand.checkpoint(front) : await hand.stopAndStart();
    await healthy(b, signal);
    front.flip({ host: b.address, port: APP_PORT });
    const totalMs = nowMs() - fromMs;
    await prober.flowing();
    const toMs = nowMs();
    const bytesAfter = await meter.bytes();
    const { move } = await prober.finish({ move: { fromMs, toMs } });
    const { memoryBytes, ...times } = stood;
    await stage.checkFiles(b, signal);
    return {
      ...times,
      bytes: {
        image,
        files: filesAhead + (bytesAfter - stillFrom) - (memoryBytes ?? 0),
        memory: memoryBytes,
        all: bytesAfter - bytesBefore,
      },
      ...{ holdMs: null, predicted: null, totalMs },
      ...{ blackoutMs: move.blackoutMs, failed: move.failed, lost: move.lost },
    };
  } finally {
    await Promise.allSettled([prober?.stop(), front?.close(), hand.clear()]);
  }
}

class Hand {
  readonly #stage: Stage;
  readonly #signal: AbortSignal;

  constructor(stage: Stage, signal: AbortSignal) {
    this.#stage = stage;
    this.#signal = signal;
  }

  async makeReady(): Promise<void> {
    const { a, b } = this.#stage;
    for (const host of [a, b]) {
      await this.#sh(host, 'mkdir -p /etc/criu');
      await dropConnections(host);
    }
    await this.#sh(b, `printf %s '${RSYNC_CONFIG}' >/run/rsyncd.conf`);
    await this.#sh(b, `rsync --daemon --config=/run/rsyncd.conf --port=${RSYNC_PORT}`);
    await this.#sh(b, `docker volume create ${VOLUMES[0]} && docker volume create ${VOLUMES[1]}`);
  }

  /** Whatever state it was in. Holdfast's own moves are not to find what was written for CRIU here. */
  async clear(): Promise<void> {
    const { a, b } = this.#stage;
    await this.#sh(b, 'kill $(cat /run/rsyncd.pid); rm -f /run/rsyncd.*; true');
    for (const host of [a, b]) await this.#sh(host, 'rm -f /etc/criu/runc.conf');
    await this.#stage.clear(this.#signal);
  }

  /** What goes between the hosts meanwhile. */
  async counted(work: () => Promise<unknown>): Promise<number> {
    const before = await this.#stage.meter.bytes();
    await work();
    return (await this.#stage.meter.bytes()) - before;
  }

  async moveImage(): Promise<void> {
    const { a, b } = this.#stage;
    await overLink(
      { host: a, produce: `docker save ${IMAGE}` },
      { host: b, consume: 'docker load' },
      this.#signal,
    );
  }

  async passOverFiles(): Promise<void> {
    const { a, b } = this.#stage;
    const passes = VOLUMES.map(
      (volume) =>
        `${RSYNC} ${volumeDir(volume)}/ rsync://${b.address}:${RSYNC_PORT}/volumes/${volume}/_data/`,
    );
    // What vanishes while it is looked at is no error.
    await this.#sh(a, passes.map((pass) => `{ ${pass} || [ $? = 24 ]; }`).join(' && '));
  }

  async stopAndStart(): Promise<Stood> {
    const { a, b } = this.#stage;
    await this.#sh(a, `docker stop ${NAME}`);
    const lastPassMs = await timed(() => this.passOverFiles());
    await this.#sh(b, `docker start ${NAME}`);
    return { frozenMs: null, engineMs: null, lastPassMs, memoryBytes: null };
  }

  async checkpoint(front: Switch): Promise<Stood> {
    const { a, b } = this.#stage;
    const [from, to] = await Promise.all([a, b].map((host) => this.#checkpointsOf(host)));
    // Connections cannot follow to another address.
    front.flip({ host: a.address, port: NOWHERE });
    let engineMs = 0;
    let lastPassMs = 0;
    let memoryBytes = 0;
    const frozenMs = await timed(async () => {
      engineMs += await timed(() => this.#sh(a, `docker checkpoint create ${NAME} ${CHECKPOINT}`));
      lastPassMs = await timed(() => this.passOverFiles());
      memoryBytes = await this.counted(() =>
        overLink(
          { host: a, produce: `tar -c -C ${from} ${CHECKPOINT}` },
          { host: b, consume: `{ mkdir -p ${to} && tar -x -C ${to}; }` },
          this.#signal,
        ),
      );
      engineMs += await timed(() => this.#sh(b, `docker start --checkpoint ${CHECKPOINT} ${NAME}`));
    });
    return { frozenMs, engineMs, lastPassMs, memoryBytes };
  }

  /** Where Docker keeps them: `docker start` takes them from nowhere else. */
  async #checkpointsOf(host: LabHost): Promise<string> {
    const id = await this.#stage.docker(host).docker('inspect', '-f', '{{.Id}}', NAME);
    return `/var/lib/docker/containers/${id}/checkpoints`;
  }

  async #sh(host: LabHost, script: string): Promise<void> {
    await shell(host, script, this.#signal);
  }
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const began = performance.now();
  await work();
  return performance.now() - began;
}
