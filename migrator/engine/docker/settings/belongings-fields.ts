import { carried, checked, type Fields, generated, refused, translated } from './field.ts';

const SWARM = 'it belongs to a swarm';

/** `docker network inspect`: what a network that the destination lacks is made of. */
export const NETWORK_FIELDS: Fields = {
  Name: carried('its name'),
  Id: generated('its id'),
  Created: generated('when it was made'),
  Scope: refused('its scope', SWARM, { harmless: (scope) => scope === 'local' }),
  Driver: refused('its driver', 'only a bridge is made where it is missing', {
    harmless: (driver) => driver === 'bridge',
  }),
  EnableIPv4: carried('--ipv4'),
  EnableIPv6: carried('--ipv6'),
  IPAM: translated(
    '--subnet, --gateway, …',
    'the same; another subnet where that one is in use, unless `--ip` is given',
  ),
  Internal: carried('--internal'),
  Attachable: carried('--attachable'),
  Ingress: refused('--ingress', SWARM),
  ConfigFrom: refused('--config-from', 'its settings are in another network', {
    harmless: (value) => (value as { Network?: string }).Network === '',
  }),
  ConfigOnly: refused('--config-only', 'it holds settings of others'),
  Containers: generated('who is in it'),
  Options: carried('--opt'),
  Labels: carried('--label'),
  Peers: refused('its peers', SWARM),
  Services: refused('its services', SWARM),
  Status: generated('how it stands just now'),
};

/** `docker volume inspect`: what a volume that the destination lacks is made of. */
export const VOLUME_FIELDS: Fields = {
  Name: carried('its name'),
  Driver: checked('--driver', 'local; a volume of another driver must be at the destination'),
  Options: carried('--opt'),
  Labels: carried('--label'),
  Mountpoint: generated('where it is'),
  CreatedAt: generated('when it was made'),
  Scope: generated('its scope'),
  Status: generated('what its driver says'),
  UsageData: generated('its size'),
  ClusterVolume: refused('the cluster driver', SWARM),
};

/** An entry of `HostConfig.Mounts`: what `--mount` asked for. */
export const MOUNT_FIELDS: Fields = {
  Type: carried('--mount type=', 'bind, volume and tmpfs', (type) =>
    ['bind', 'volume', 'tmpfs'].includes(String(type)) ? undefined : 'only bind, volume and tmpfs are known',
  ),
  Source: translated('--mount source=', 'a volume without a name keeps the one that Docker gave it'),
  Target: carried('--mount target='),
  ReadOnly: carried('--mount readonly'),
  Consistency: carried('--mount consistency='),
  BindOptions: carried('--mount bind-propagation=, …', 'propagation private or rprivate', (options) => {
    const { Propagation = '' } = (options ?? {}) as { Propagation?: string };
    return ['', 'private', 'rprivate'].includes(Propagation)
      ? undefined
      : 'mounts that come and go at this host show in it, and CRIU cannot bring them along';
  }),
  VolumeOptions: carried('--mount volume-*='),
  ImageOptions: refused('--mount type=image', 'the other image would have to be at the destination'),
  TmpfsOptions: carried('--mount tmpfs-*=', 'with its content'),
  ClusterOptions: refused('--mount type=cluster', SWARM),
};
