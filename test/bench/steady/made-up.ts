import type { Measurement } from '../../../bench/steady/measurement.ts';

/** A measurement without a fault, but for what is given. */
export const measurement = (
  proxy: string,
  round: number,
  requestsPerS: number,
  by: Partial<Measurement> = {},
): Measurement => ({
  proxy,
  round,
  requestsPerS,
  requests: requestsPerS * 5,
  cpuUsPerRequest: 20,
  busy: 0.99,
  p50Ms: 1.2,
  p99Ms: 2.5,
  errors: 0,
  throughNode: null,
  ...by,
});
