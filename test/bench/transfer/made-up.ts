import type { Measurement } from '../../../bench/transfer/measurement.ts';
import type { Way } from '../../../bench/transfer/way.ts';
import type { Link } from '../../lab/link.ts';

/** A measurement without a fault, but for what is given. */
export const measurement = (link: Link, way: Way, by: Partial<Measurement> = {}): Measurement => ({
  link,
  way,
  round: 1,
  bytes: { image: 0, files: 0, memory: 0, all: 1 << 20 },
  frozenMs: null,
  engineMs: null,
  holdMs: null,
  blackoutMs: 100,
  totalMs: 1_000,
  lastPassMs: null,
  predicted: null,
  failed: 0,
  lost: 0,
  ...by,
});

export const bytes = (all: number): Pick<Measurement, 'bytes'> => ({
  bytes: { image: 0, files: 0, memory: 0, all },
});
