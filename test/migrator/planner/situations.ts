import type { Situation } from '../../../migrator/planner/model.ts';

export const MIB = 1024 * 1024;
const MBIT_BPMS = 125;

/** A move as a table would put it: memory and writes in MiB, the link in Mbit/s and ms. */
export function situation(
  options: {
    mib?: number;
    dirtyMibPerS?: number;
    mbit?: number;
    rttMs?: number;
    eagerMib?: number;
    verify?: boolean;
  } = {},
): Situation {
  const { mib = 256, dirtyMibPerS = 0, mbit = 1000, rttMs = 0.5, eagerMib = 0, verify } = options;
  return {
    link: { rttMs, rateBpms: mbit * MBIT_BPMS },
    gatewayRttMs: { source: rttMs / 2, destination: rttMs / 2 },
    memory: {
      processes: 1,
      privateBytes: mib * MIB,
      swappedBytes: 0,
      sharedBytes: 0,
      zeroShare: 0,
      distinctShare: 1,
      encodedShare: 1,
      encodeRateBpms: 300_000,
      readRateBpms: 1_500_000,
      dirtyRateBpms: (dirtyMibPerS * MIB) / 1000,
      hotBytes: mib * MIB,
    },
    eagerBytes: eagerMib * MIB,
    verify,
  };
}
