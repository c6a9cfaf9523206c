import { carried, type Fields, generated, type Objection, refused, translated } from './field.ts';
import { RESOURCE_FIELDS } from './resource-fields.ts';

const NAMESPACE = 'NAMESPACE_SHARED';
const PROPAGATIONS = ['shared', 'rshared', 'slave', 'rslave'];
const SECURITY_OPTIONS = ['no-new-privileges', 'seccomp', 'apparmor', 'label'];

const ofAnotherContainer: Objection = (mode) =>
  String(mode).startsWith('container:') ? 'it is the one of another container, which stays here' : undefined;

/** `HostConfig`: what ties a container to its host. */
export const HOST_CONFIG_FIELDS: Fields = {
  ...RESOURCE_FIELDS,
  Binds: carried(
    '--volume',
    'the path must be at the destination, be the same kind of thing, and nothing be mounted below it',
    (binds) =>
      strings(binds).some((bind) => propagates(bind))
        ? 'mounts that come and go at this host show in it, and CRIU cannot bring them along'
        : undefined,
  ),
  ContainerIDFile: generated('--cidfile', 'a file of whoever made the container'),
  LogConfig: carried(
    '--log-driver, --log-opt',
    "the driver must be at the destination, whose daemon may add options; what was logged before the move goes with the source's container",
  ),
  NetworkMode: translated(
    '--network',
    'by name; a network that is missing is made if it is a bridge',
    ofAnotherContainer,
    NAMESPACE,
  ),
  PortBindings: translated('--publish', 'a port that Docker chose becomes a fixed one'),
  RestartPolicy: translated('--restart', 'set when the move is final, and `no` until then'),
  AutoRemove: carried('--rm'),
  VolumeDriver: carried('--volume-driver'),
  VolumesFrom: refused('--volumes-from', 'they are those of another container, which stays here', {
    code: 'VOLUME_SHARED',
  }),
  Mounts: translated('--mount', 'a volume without a name keeps the one that Docker gave it'),
  ConsoleSize: carried('the size of a terminal'),
  Annotations: carried('--annotation', undefined, (annotations) =>
    Object.keys(annotations ?? {}).some((name) => name.startsWith('org.criu.'))
      ? 'an annotation org.criu.* tells CRIU what to do, which is for the agents to tell'
      : undefined,
  ),
  CapAdd: carried('--cap-add'),
  CapDrop: carried('--cap-drop'),
  CgroupnsMode: carried('--cgroupns'),
  Dns: carried('--dns'),
  DnsOptions: carried('--dns-option'),
  DnsSearch: carried('--dns-search'),
  ExtraHosts: carried('--add-host'),
  GroupAdd: carried('--group-add'),
  IpcMode: carried(
    '--ipc',
    'private or none',
    (mode) =>
      ['', 'private', 'none'].includes(String(mode))
        ? undefined
        : 'its shared memory is a mount of the host, and is not in a checkpoint',
    NAMESPACE,
  ),
  Cgroup: refused('--cgroup', 'it is the one of another container, which stays here', { code: NAMESPACE }),
  Links: carried(
    '--link',
    'in a network of its own, if a container of that name is at the destination',
    (links, { HostConfig }) =>
      strings(links).length > 0 && ['', 'default', 'bridge'].includes(HostConfig.NetworkMode)
        ? "in Docker's default network the other's address is in its environment"
        : undefined,
  ),
  OomScoreAdj: carried('--oom-score-adj'),
  PidMode: refused('--pid', 'its processes are among those of others', { code: NAMESPACE }),
  Privileged: refused('--privileged', 'it has all devices of this host', { code: 'HOST_DEVICE' }),
  PublishAllPorts: carried('--publish-all', 'with the ports that Docker chose'),
  ReadonlyRootfs: carried('--read-only'),
  SecurityOpt: carried(
    '--security-opt',
    'no-new-privileges, seccomp with its profile, apparmor if the profile is there',
    (options) =>
      strings(options).every((option) => SECURITY_OPTIONS.includes(option.split(/[=:]/)[0] ?? ''))
        ? undefined
        : `only ${SECURITY_OPTIONS.join(', ')} are known`,
  ),
  StorageOpt: refused('--storage-opt', "it depends on the file system below the destination's Docker"),
  Tmpfs: carried('--tmpfs', 'with its content'),
  UTSMode: refused('--uts', "its host name is 's", { code: NAMESPACE }),
  UsernsMode: carried('--userns', 'where neither engine maps users'),
  ShmSize: carried('--shm-size'),
  Sysctls: carried('--sysctl'),
  Runtime: translated('--runtime', 'runc becomes holdfast, which runs runc'),
  Isolation: refused('--isolation', 'it is for Windows', { harmless: (value) => value === 'default' }),
  MaskedPaths: carried('systempaths'),
  ReadonlyPaths: carried('systempaths'),
  Init: carried(
    '--init',
    "if docker-init is the same at both ends, and /sbin is no link in the image; the daemon's own choice is carried as a choice",
  ),
};

function strings(value: unknown): string[] {
  return Array.isArray(value) ? value.map(String) : [];
}

function propagates(bind: string): boolean {
  const options = bind.split(':')[2]?.split(',') ?? [];
  return options.some((option) => PROPAGATIONS.includes(option));
}
