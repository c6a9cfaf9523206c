import path from 'node:path';
import { pino } from 'pino';
import type { Test } from 'tap';
import {
  fetchesOnDemand,
  type MigrationEvent,
  type Step,
  Strategy,
  sendsAhead,
} from '../../migrator/events.ts';
import { Migrations } from '../../migrator/migrations.ts';
import { Experiences } from '../../migrator/planner/experiences.ts';
import { Planner } from '../../migrator/planner/planner.ts';
import type { World } from './world.ts';

const log = pino({ level: 'silent' });
export const hold = { drainTimeoutMs: 100, maxHoldMs: 400 };
const apps = new Map([['shop', { container: 'shop', hold }]]);
export const LAZY = Object.values(Strategy).filter(fetchesOnDemand);

/** The calls of a move that can go wrong, up to the commit. */
export function callsOf(strategy: Strategy): string[] {
  const ahead = sendsAhead(strategy) ? ['preCopy'] : [];
  return ['prepare', 'connect', ...ahead, 'freeze', 'dump', 'send', 'restore', 'health', 'commit'];
}

export async function open(world: World, journalDir: string): Promise<Migrations> {
  const planner = new Planner(await Experiences.open(path.join(journalDir, 'experiences.json'), log));
  const agents = world.agents();
  return Migrations.open({ gate: world, agents, apps, placements: world, planner, journalDir, log });
}

export async function move(
  migrations: Migrations,
  strategy: Strategy = Strategy.preCopy,
  options: { verify?: boolean } = {},
): Promise<string> {
  const { id } = await migrations.order({ app: 'shop', to: 'b', strategy, ...options });
  await migrations.settled();
  return id;
}

export function liveAndServedAt(t: Test, world: World, host: string): void {
  t.same(world.running(), [host], 'exactly one instance runs');
  t.same(world.gate, { open: true, to: host }, 'requests go to it');
  t.same(world.violations, [], 'at no instant did two run, or requests go where nothing ran');
}

/** Do something at an event of a step. */
export function at(migrations: Migrations, type: MigrationEvent['type'], step: Step, act: () => void): void {
  migrations.subscribe((event) => {
    if (event.type === type && 'step' in event && event.step === step) act();
  });
}
