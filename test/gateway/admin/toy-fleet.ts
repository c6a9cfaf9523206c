import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import type { Test } from 'tap';
import type { AdminContext } from '../../../gateway/admin/context.ts';
import { createAdmin } from '../../../gateway/admin/server.ts';
import { Apps } from '../../../gateway/apps.ts';
import { parseGatewayConfig } from '../../../gateway/config/load.ts';
import { Gates } from '../../../gateway/gate/gates.ts';
import { Metrics } from '../../../gateway/metrics/metrics.ts';
import { PlacementMemory } from '../../../gateway/placements/memory.ts';
import { Placements } from '../../../gateway/placements/placements.ts';
import type { ContainerHost } from '../../../gateway/placements/survey.ts';
import type { Agent } from '../../../migrator/agents.ts';
import { HoldfastError } from '../../../migrator/errors.ts';
import { Migrations } from '../../../migrator/migrations.ts';
import { Experiences } from '../../../migrator/planner/experiences.ts';
import { Planner } from '../../../migrator/planner/planner.ts';
import { World } from '../../migrator/world.ts';

const CONFIG = `
tls: {ca: ca, cert: cert, key: key}
hosts:
  a: {agent: "https://127.0.0.1:1"}
  b: {agent: "https://127.0.0.1:2"}
apps:
  shop:
    match: [{host: shop.example.com}]
    container: shop
    replica: http://127.0.0.1:9
  blog:
    match: [{host: blog.example.com}]
    upstream: http://127.0.0.1:3
`;

type Host = Agent & ContainerHost;

export interface ToyFleet {
  readonly world: World;
  readonly url: string;
  readonly context: AdminContext;
  /** Every send waits for what this resolves to. */
  beforeSend: Promise<void>;
  /** Take no more orders. */
  drain(): void;
  stop(): void;
}

/** The admin API on a port, real down to the saga; the agents and what they run are the model the saga is tried on. */
export async function toyFleet(
  t: Test,
  options: { token?: string; allowedHosts?: string[]; haproxy?: AdminContext['haproxy'] } = {},
): Promise<ToyFleet> {
  const world = new World();
  const config = parseGatewayConfig(CONFIG, 'gateway.yaml');
  const log = pino({ level: 'silent' });
  const agents = new Map<string, Host>();
  for (const [host, agent] of world.agents()) {
    const awake = () => {
      if (world.away.has(host))
        throw new HoldfastError('AGENT_UNREACHABLE', `${host} is away`, { retryable: true });
    };
    const instance = world.hosts[host] as { state: 'running' | 'absent'; committed: boolean };
    agents.set(host, {
      ...agent,
      send: async (id, signal) => {
        await fleet.beforeSend;
        return agent.send(id, signal);
      },
      info: async () => {
        awake();
        return { host, version: '0.1.0', engines: ['model'], lazyPages: true };
      },
      containers: async () => {
        awake();
        return [{ name: 'shop', engine: 'model', state: instance.state, port: 3000 }];
      },
      start: async () => {
        awake();
        instance.state = 'running';
      },
      remove: async () => {
        awake();
        instance.state = 'absent';
      },
    });
  }
  const { hold } = config.apps.shop as { hold: { maxMs: number; drainTimeoutMs: number } };
  const limits = { maxHeldRequests: 10, maxHeldBytes: 1e6, releaseConcurrency: 4 };
  const gateLimits = { ...limits, maxHoldMs: hold.maxMs, drainTimeoutMs: hold.drainTimeoutMs };
  const gates = new Gates(
    { shop: { limits: gateLimits }, blog: { limits: gateLimits } },
    { connectTimeoutMs: 1000, headTimeoutMs: 1000, bodyTimeoutMs: 1000 },
  );
  const isMoving = (app: string): boolean => migrations.undecidedApps().includes(app);
  // Its own, not the test's: that one goes before what is torn down here has written its last.
  const dir = await mkdtemp(join(tmpdir(), 'holdfast-fleet-'));
  const placements = await Placements.open({
    apps: new Map([['shop', 'shop']]),
    hosts: new Map([...agents].map(([host, agent]) => [host, { agent, address: '127.0.0.1' }])),
    memory: new PlacementMemory(join(dir, 'placements.json')),
    log,
    onPlaced: (app, target) => gates.setTarget(app, target),
    isMoving,
  });
  const experiences = await Experiences.open(join(dir, 'experiences.json'), log);
  const migrations = await Migrations.open({
    gate: gates,
    agents,
    apps: new Map([['shop', { container: 'shop', hold: gateLimits }]]),
    placements,
    planner: new Planner(experiences),
    journalDir: join(dir, 'journal'),
    log,
  });
  const draining = new AbortController();
  const stopping = new AbortController();
  const metrics = new Metrics(() => []);
  const apps = new Apps({ apps: config.apps, agents, placements, isMoving });
  const context: AdminContext = {
    version: '0.1.0',
    apps,
    agents,
    placements,
    migrations,
    gates,
    haproxy: options.haproxy,
    metrics,
    log,
    ready: Promise.resolve(),
    draining: draining.signal,
    stopping: stopping.signal,
  };
  const server = await createAdmin(context, {
    token: options.token,
    allowedHosts: options.allowedHosts ?? [],
  });
  await placements.survey();
  const fleet: ToyFleet = {
    world,
    url: await server.listen({ host: '127.0.0.1', port: 0 }),
    context,
    beforeSend: Promise.resolve(),
    drain: () => draining.abort(),
    stop: () => stopping.abort(),
  };
  t.teardown(async () => {
    stopping.abort();
    await server.close();
    await migrations.close();
    await experiences.close();
    await placements.close();
    await gates.close();
    world.stop();
    await rm(dir, { recursive: true });
  });
  return fleet;
}
