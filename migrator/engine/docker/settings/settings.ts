/** A container's settings, from one Docker Engine to another. See docs/docker-settings.md. */
export { admitSettings } from './admit.ts';
export { conceal } from './conceal.ts';
export { createOptions, finalUpdate } from './create-options.ts';
export { describe } from './describe.ts';
export {
  type DockerSettings,
  type DockerShape,
  parseSettings,
  parseShape,
  shapeOf,
  type VolumePlan,
} from './docker-settings.ts';
export { makeContainer } from './make-container.ts';
export type { Storage } from './mounts.ts';
export { leaveVolumes, VolumeLedger } from './volume-ledger.ts';
