import { access, constants, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Logger } from 'pino';
import type { HaproxyGate } from '../haproxy/gate.ts';
import { HoldfastError } from '../migrator/errors.ts';
import { Migrations } from '../migrator/migrations.ts';
import { Experiences } from '../migrator/planner/experiences.ts';
import { Planner } from '../migrator/planner/planner.ts';
import type { AdminContext } from './admin/context.ts';
import { createAdmin } from './admin/server.ts';
import { readToken } from './admin/token.ts';
import { Apps } from './apps.ts';
import { formatAddress, parseAddress } from './config/address.ts';
import type { GatewayConfig } from './config/schema.ts';
import { holdUntilAsked } from './first-hold.ts';
import { listening } from './listen.ts';
import { logEvents } from './log-events.ts';
import { Metrics } from './metrics/metrics.ts';
import { Opened } from './opened.ts';
import {
  connectAgents,
  containersOf,
  createGates,
  createHaproxyGate,
  forwardingOf,
  movableApps,
  placedHosts,
  routesOf,
} from './parts.ts';
import { PlacementMemory } from './placements/memory.ts';
import { Placements } from './placements/placements.ts';
import { createProxy } from './proxy/proxy.ts';
import { packageVersion } from './version.ts';

export interface Gateway {
  readonly url: string;
  readonly adminUrl: string;
  /** Finish what is in flight and what is moving until `signal` fires, then leave the rest to the next start. */
  stop(signal: AbortSignal): Promise<void>;
}

/**
 * Put the gateway together and start it. Settles when it listens and the hosts have been asked where the apps run.
 *
 * @throws HoldfastError `STATE_DIR_UNWRITABLE`, `TLS_FILE_UNREADABLE`, `TOKEN_FILE_UNREADABLE`,
 * `PLACEMENTS_UNREADABLE`, and what `listening` throws
 */
export async function startGateway(config: GatewayConfig, log: Logger): Promise<Gateway> {
  const opened = new Opened();
  try {
    await prepareStateDir(config.stateDir);
    const context = await compose(config, log, opened);
    return await open(config, context, opened);
  } catch (error) {
    await opened.close();
    throw error;
  }
}

type Composed = Omit<AdminContext, 'ready' | 'draining' | 'stopping'> & {
  readonly haproxy: HaproxyGate | undefined;
};

/** Everything between the agents and the outside, with nothing listening yet. */
async function compose(config: GatewayConfig, log: Logger, opened: Opened): Promise<Composed> {
  const agents = await connectAgents(config, opened);
  const gates = createGates(config, (app) => placements.missed(app));
  opened.add(() => gates.close());
  const isMoving = (app: string): boolean => migrations.undecidedApps().includes(app);
  const placements = await Placements.open({
    apps: containersOf(config),
    hosts: placedHosts(config, agents),
    memory: new PlacementMemory(join(config.stateDir, 'placements.json')),
    log,
    onPlaced: (app, target) => gates.setTarget(app, target),
    isMoving,
  });
  opened.add(() => placements.close());
  const experiences = await Experiences.open(join(config.stateDir, 'experiences.json'), log);
  opened.add(() => experiences.close());
  const haproxy = createHaproxyGate(config, gates, log);
  opened.add(async () => haproxy?.close());
  const migrations = await Migrations.open({
    gate: haproxy ?? gates,
    agents,
    apps: movableApps(config),
    placements,
    planner: new Planner(experiences),
    journalDir: join(config.stateDir, 'journal'),
    log,
  });
  opened.add(() => migrations.close());
  const apps = new Apps({ apps: config.apps, agents, placements, isMoving });
  const metrics = new Metrics(
    () => apps.names().map((app) => [app, gates.snapshot(app).heldRequests] as const),
    () => (haproxy?.states() ?? []).map(({ name, answers }) => [name, answers] as const),
  );
  migrations.subscribe(metrics.migrationEvent);
  migrations.subscribe(logEvents(log));
  return { version: packageVersion(), apps, agents, placements, migrations, gates, haproxy, metrics, log };
}

/** Hold what must be held, listen, take up what a crash left, find the apps. */
async function open(config: GatewayConfig, composed: Composed, opened: Opened): Promise<Gateway> {
  const { gates, haproxy, placements, migrations, metrics, log } = composed;
  const letGo = holdUntilAsked(containersOf(config).keys(), gates, placements, migrations.undecidedApps());
  const ready = placements.survey().then(() => {
    // Not awaited: it settles with the first request answered, and an app may be slow to connect to.
    letGo().catch((error: unknown) => log.error({ err: error }, 'the first hold could not be ended'));
  });
  ready.catch(() => {}); // Awaited below; the failure of a listen may come first.
  const draining = new AbortController();
  const stopping = new AbortController();

  const { tokenFile, allowedHosts } = config.admin;
  const token = tokenFile === undefined ? undefined : await readToken(tokenFile);
  const admin = await createAdmin(
    { ...composed, ready, draining: draining.signal, stopping: stopping.signal },
    { token, allowedHosts },
  );
  opened.add(() => admin.close());
  opened.add(async () => stopping.abort());
  const adminUrl = await listening(config.admin.listen, admin.listen(parseAddress(config.admin.listen)));

  const proxy = createProxy({
    routes: routesOf(config),
    gates,
    observer: metrics,
    log,
    ...forwardingOf(config),
    timeouts: {
      headTimeoutMs: config.timeouts.clientHeadMs,
      keepAliveTimeoutMs: config.timeouts.keepAliveMs,
    },
  });
  const { host } = parseAddress(config.listen);
  const { port } = await listening(config.listen, proxy.listen(parseAddress(config.listen)));
  opened.add(() => proxy.close(AbortSignal.abort()));
  haproxy?.start();

  // Not awaited: while a host is away this may take long, and the other apps are served meanwhile.
  migrations.recover().catch((error: unknown) => log.error({ err: error }, 'recovery broke off'));
  await ready;
  placements.watch();
  return {
    url: `http://${formatAddress({ host, port })}`,
    adminUrl,
    async stop(signal) {
      draining.abort();
      await Promise.all([proxy.close(signal), untilFired(signal, migrations.settled())]);
      await opened.close();
    },
  };
}

async function prepareStateDir(directory: string): Promise<void> {
  try {
    await mkdir(directory, { recursive: true, mode: 0o700 });
    await access(directory, constants.R_OK | constants.W_OK | constants.X_OK);
  } catch (cause) {
    throw new HoldfastError('STATE_DIR_UNWRITABLE', `nothing can be kept in ${directory}`, {
      mend: 'make it writable, or name another stateDir in the configuration',
      cause,
    });
  }
}

async function untilFired(signal: AbortSignal, work: Promise<void>): Promise<void> {
  if (signal.aborted) return;
  let stop = () => {};
  const fired = new Promise<void>((resolve) => {
    stop = resolve;
    signal.addEventListener('abort', stop, { once: true });
  });
  await Promise.race([work, fired]);
  signal.removeEventListener('abort', stop);
}
