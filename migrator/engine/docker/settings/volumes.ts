import type { Finding } from '../../engine.ts';
import { VOLUME_FIELDS } from './belongings-fields.ts';
import type { DockerApi } from './docker-api.ts';
import type { VolumePlan, VolumeShape } from './docker-settings.ts';
import { findingOf, sift } from './field.ts';
import type { Inspected, InspectedVolume } from './inspected.ts';

/** File systems that both hosts can have mounted at once. */
const SHARED_STORAGE = ['nfs', 'nfs4', 'cifs', 'smb3', 'ceph', 'glusterfs', '9p'];

/** The volumes of a container, and what stands against taking them along. */
export async function volumesOf(
  docker: DockerApi,
  container: Inspected,
): Promise<{ volumes: VolumePlan[]; findings: Finding[] }> {
  const volumes: VolumePlan[] = [];
  const findings: Finding[] = [];
  const points = (container.Mounts ?? []).filter(({ Type }) => Type === 'volume');
  for (const name of new Set(points.map(({ Name }) => Name ?? ''))) {
    const found = await docker.volume(name);
    if (found === undefined) continue;
    const sifted = sift(found, VOLUME_FIELDS, container);
    const shared = found.Driver !== 'local' || SHARED_STORAGE.includes(found.Options?.type ?? '');
    findings.push(...sifted.refusals.map(findingOf));
    if (!shared) findings.push(...(await sharedFindings(docker, found, container)));
    volumes.push({
      name,
      driver: found.Driver,
      options: found.Options ?? {},
      labels: found.Labels ?? {},
      destinations: points.filter(({ Name }) => Name === name).map(({ Destination }) => Destination),
      shared,
    });
  }
  return { volumes, findings };
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
  const { device = '' } = options;
  return {
    ...{ name, driver, shared, optionNames: Object.keys(options).sort() },
    ...(driver === 'local' && device.startsWith('/') ? { device } : {}),
  };
}
