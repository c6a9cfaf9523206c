import { AUTO, Strategy } from '../../migrator/events.ts';
import type { Hand } from '../plain/hand.ts';
import { podmanByHand } from '../plain/podman.ts';
import { runcByHand } from '../plain/runc.ts';

export const PLAIN = 'runc';
export const PODMAN_PRE = 'podman-pre';

/** One way of moving an app. */
export interface Approach {
  /** As given to `--strategy`. */
  readonly key: string;
  readonly title: string;
  /** Absent: Holdfast moves it, by the strategy of that key. */
  readonly byHand?: (signal: AbortSignal) => Hand;
}

export const approaches: readonly Approach[] = [
  { key: PLAIN, title: 'runc checkpoint, tar, restore', byHand: runcByHand },
  {
    key: 'podman',
    title: 'podman checkpoint --export',
    byHand: (signal) => podmanByHand(signal, { preCheckpoint: false }),
  },
  {
    key: PODMAN_PRE,
    title: 'podman with --pre-checkpoint',
    byHand: (signal) => podmanByHand(signal, { preCheckpoint: true }),
  },
  ...Object.values(Strategy).map((strategy) => ({ key: strategy, title: `Holdfast ${strategy}` })),
  { key: AUTO, title: 'Holdfast auto' },
];

export const strategyKeys: readonly string[] = Object.values(Strategy);

export function usesPodman(keys: readonly string[]): boolean {
  return keys.some((key) => key.startsWith('podman'));
}
