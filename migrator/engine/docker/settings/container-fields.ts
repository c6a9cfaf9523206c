import { carried, checked, type Fields, generated, refused, translated } from './field.ts';

const SIZE = 'its size on disk';
const MADE_HERE = 'a file of the engine';
const STATE = 'how it stands just now';

/** What `docker inspect` says of a container around `Config` and `HostConfig`. */
export const CONTAINER_FIELDS: Fields = {
  Id: generated('its id'),
  Created: generated(STATE),
  Path: generated('the command', 'from Entrypoint and Cmd'),
  Args: generated('the command', 'from Entrypoint and Cmd'),
  State: checked(STATE, 'it must be running; its health and when it was started are counted anew'),
  Image: translated('the image', 'brought along'),
  ResolvConfPath: generated(MADE_HERE),
  HostnamePath: generated(MADE_HERE),
  HostsPath: generated(MADE_HERE),
  LogPath: generated(MADE_HERE, "what was logged before the move goes with the source's container"),
  Name: carried('--name'),
  RestartCount: generated(STATE),
  Driver: checked('the storage driver', 'overlay2 at both ends'),
  Platform: checked('the platform', 'linux'),
  MountLabel: generated('a label of SELinux'),
  ProcessLabel: refused(
    'a label of SELinux',
    'files of the container have it too, and each engine chooses its own',
  ),
  AppArmorProfile: checked('apparmor', 'the profile must be at the destination'),
  ExecIDs: checked('docker exec', 'nobody may be at work in it but its health check'),
  HostConfig: translated('what ties it to its host', 'field by field, below'),
  GraphDriver: generated('where its files are'),
  Storage: generated('where its files are'),
  SizeRw: generated(SIZE),
  SizeRootFs: generated(SIZE),
  Mounts: translated('what is mounted', 'from Binds, Mounts, Tmpfs and Volumes'),
  Config: translated('what is said of it without regard to its host', 'field by field, below'),
  NetworkSettings: translated('its networks', 'each by its endpoint, below'),
  ImageManifestDescriptor: generated('the image'),
};

/** `NetworkSettings.Networks.NAME`: how it is in one network. */
export const ENDPOINT_FIELDS: Fields = {
  IPAMConfig: carried('--ip, --ip6, --link-local-ip', 'if the subnet is the same and nobody has the address'),
  Links: carried('--link', 'if a container of that name is at the destination'),
  Aliases: carried('--network-alias'),
  DriverOpts: carried('--network driver-opt='),
  GwPriority: carried('--network gw-priority='),
  MacAddress: generated(
    'its hardware address',
    'one that was asked for is carried for the network of `--network`; Docker tells it for no other',
  ),
  NetworkID: generated('the network'),
  EndpointID: generated('its end of the network'),
  Gateway: generated('an address'),
  IPAddress: generated('an address', 'it differs from the one at the source unless `--ip` fixes it'),
  IPPrefixLen: generated('an address'),
  IPv6Gateway: generated('an address'),
  GlobalIPv6Address: generated('an address'),
  GlobalIPv6PrefixLen: generated('an address'),
  DNSNames: generated('its names', 'from its name, aliases and host name'),
};
