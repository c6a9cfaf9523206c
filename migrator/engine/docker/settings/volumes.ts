import { isOnNetwork, NETWORK_FILE_SYSTEMS } from '../../../files/shared-storage.ts';
import type { Finding } from '../../engine.ts';
import { VOLUME_FIELDS } from './belongings-fields.ts';
import type { DockerApi } from './docker-api.ts';
import type { VolumePlan, VolumeShape } from './docker-settings.ts';
import { findingOf, sift } from './field.ts';
import type { Inspected, InspectedVolume } from './inspected.ts';
import { clean, type Storage } from './mounts.ts';

/** The volumes of a container, and what stands against taking them along. */
export async function volumesOf(
  docker: DockerApi,
  container: Inspected,
  storage: Storage = {},
): Promise<{ volumes: VolumePlan[]; findings: Finding[] }> {
  const volumes: VolumePlan[] = [];
  const findings: Finding[] = [];
  const points = (container.Mounts ?? []).filter(({ Type }) => Type === 'volume');
  for (const name of new Set(points.map(({ Name }) => Name ?? ''))) {
    const found = await docker.volume(name);
    if (found === undefined) continue;
    const sifted = sift(found, VOLUME_FIELDS, container);
    const destinations = points.filter(({ Name }) => Name === name).map(({ Destination }) => Destination);
    const declared = destinations.map((path) => storage[clean(path)]).find((mode) => mode);
    const shared = declared === undefined ? await isShared(found) : declared === 'shared';
    findings.push(...sifted.refusals.map(findingOf));
    if (!shared) findings.push(...(await sharedFindings(docker, found, container)));
    volumes.push({
      name,
      driver: found.Driver,
      options: found.Options ?? {},
      labels: found.Labels ?? {},
      destinations,
      shared,
    });
  }
  return { volumes, findings };
}

async function isShared({ Driver, Options }: InspectedVolume): Promise<boolean> {
  const kind = { driver: Driver, options: Options ?? {} };
  if (isMountedOnDemand(kind)) return true;
  const device = deviceOf(kind);
  return device !== undefined && (await isOnNetwork(device));
}

type Kind = Pick<VolumePlan, 'driver' | 'options'>;

/** Whether Docker mounts it from somewhere else when a container needs it. Nobody can look into it before. */
export function isMountedOnDemand({ driver, options }: Kind): boolean {
  return driver !== 'local' || NETWORK_FILE_SYSTEMS.has(options.type ?? '');
}

/** The path of the host that it stands for. */
export function deviceOf({ driver, options: { device = '' } }: Kind): string | undefined {
  return driver === 'local' && device.startsWith('/') ? device : undefined;
}

/** The content would be copied from under the hands of whoever stays, and be two from then on. */
async function sharedFindings(
  docker: DockerApi,
  { Name }: InspectedVolume,
  container: Inspected,
): Promise<Finding[]> {
  const users = await docker.containers({ volume: [Name], status: ['running', 'paused', 'restarting'] });
  const others = users.filter(({ Id }) => Id !== container.Id).map(({ Names }) => Names[0]?.slice(1));
  if (others.length === 0) return [];
  return [
    {
      code: 'VOLUME_SHARED',
      message: `${others.join(', ')} uses its volume ${Name}, and would be left behind`,
      mend: 'stop it, or put the volume on storage that both hosts share',
    },
  ];
}

export function volumeShape({ name, driver, options, shared }: VolumePlan): VolumeShape {
  const device = deviceOf({ driver, options });
  return {
    ...{ name, driver, shared, optionNames: Object.keys(options).sort() },
    ...(device === undefined ? {} : { device }),
  };
}
