/** What Docker 28.5 says, recorded; each test changes what it is about. */

type Json = Record<string, unknown>;

export const ID = '4f1c7a9e02b3d5868f9a0b1c2d3e4f5061728394a5b6c7d8e9f0a1b2c3d4e5f6';
export const IMAGE_ID = 'sha256:9d1f2c3b4a5968778695a4b3c2d1e0f9e8d7c6b5a4938271605f4e3d2c1b0a99';
export const NETWORK_ID = 'b5e0c1d2f3a4958677684a5b6c7d8e9f0a1b2c3d4e5f60718293a4b5c6d7e8f9';

export interface Changes {
  container?: Json;
  config?: Json;
  hostConfig?: Json;
  ports?: Json;
  networks?: Json;
}

export function inspected({ container, config, hostConfig, ports, networks }: Changes = {}): Json {
  return {
    Id: ID,
    Created: '2025-11-21T19:20:11.123456789Z',
    Path: 'node',
    Args: ['server.mjs'],
    State: {
      Status: 'running',
      Running: true,
      Paused: false,
      Restarting: false,
      OOMKilled: false,
      Dead: false,
      Pid: 0,
      ExitCode: 0,
      Error: '',
      StartedAt: '2025-11-21T19:20:11.423456789Z',
      FinishedAt: '0001-01-01T00:00:00Z',
    },
    Image: IMAGE_ID,
    ResolvConfPath: `/var/lib/docker/containers/${ID}/resolv.conf`,
    HostnamePath: `/var/lib/docker/containers/${ID}/hostname`,
    HostsPath: `/var/lib/docker/containers/${ID}/hosts`,
    LogPath: `/var/lib/docker/containers/${ID}/${ID}-json.log`,
    Name: '/shop',
    RestartCount: 0,
    Driver: 'overlay2',
    Platform: 'linux',
    MountLabel: '',
    ProcessLabel: '',
    AppArmorProfile: '',
    ExecIDs: null,
    HostConfig: {
      Binds: null,
      ContainerIDFile: '',
      LogConfig: { Type: 'json-file', Config: {} },
      NetworkMode: 'bridge',
      PortBindings: {},
      RestartPolicy: { Name: 'no', MaximumRetryCount: 0 },
      AutoRemove: false,
      VolumeDriver: '',
      VolumesFrom: null,
      ConsoleSize: [0, 0],
      CapAdd: null,
      CapDrop: null,
      CgroupnsMode: 'host',
      Dns: [],
      DnsOptions: [],
      DnsSearch: [],
      ExtraHosts: null,
      GroupAdd: null,
      IpcMode: 'private',
      Cgroup: '',
      Links: null,
      OomScoreAdj: 0,
      PidMode: '',
      Privileged: false,
      PublishAllPorts: false,
      ReadonlyRootfs: false,
      SecurityOpt: null,
      UTSMode: '',
      UsernsMode: '',
      ShmSize: 67108864,
      Runtime: 'runc',
      Isolation: '',
      CpuShares: 0,
      Memory: 0,
      NanoCpus: 0,
      CgroupParent: '',
      BlkioWeight: 0,
      BlkioWeightDevice: [],
      BlkioDeviceReadBps: [],
      BlkioDeviceWriteBps: [],
      BlkioDeviceReadIOps: [],
      BlkioDeviceWriteIOps: [],
      CpuPeriod: 0,
      CpuQuota: 0,
      CpuRealtimePeriod: 0,
      CpuRealtimeRuntime: 0,
      CpusetCpus: '',
      CpusetMems: '',
      Devices: [],
      DeviceCgroupRules: null,
      DeviceRequests: null,
      MemoryReservation: 0,
      MemorySwap: 0,
      MemorySwappiness: null,
      OomKillDisable: false,
      PidsLimit: null,
      Ulimits: [],
      CpuCount: 0,
      CpuPercent: 0,
      IOMaximumIOps: 0,
      IOMaximumBandwidth: 0,
      MaskedPaths: ['/proc/acpi', '/proc/kcore', '/sys/firmware'],
      ReadonlyPaths: ['/proc/bus', '/proc/sys'],
      ...hostConfig,
    },
    GraphDriver: { Name: 'overlay2', Data: { ID, UpperDir: '/var/lib/docker/overlay2/x/diff' } },
    Mounts: [],
    Config: {
      Hostname: ID.slice(0, 12),
      Domainname: '',
      User: '',
      AttachStdin: false,
      AttachStdout: false,
      AttachStderr: false,
      Tty: false,
      OpenStdin: false,
      StdinOnce: false,
      Env: ['DB_PASSWORD=correct horse', 'PATH=/usr/bin:/bin'],
      Cmd: ['server.mjs'],
      Image: 'shop:latest',
      Volumes: null,
      WorkingDir: '/srv',
      Entrypoint: ['node'],
      OnBuild: null,
      Labels: { 'com.example.token': 'battery staple' },
      ...config,
    },
    NetworkSettings: {
      Bridge: '',
      SandboxID: 'c0ffee',
      SandboxKey: '/var/run/docker/netns/c0ffee',
      Ports: { ...ports },
      HairpinMode: false,
      Networks: networks ?? { bridge: endpoint() },
    },
    ...container,
  };
}

export function endpoint(changes: Json = {}): Json {
  return {
    IPAMConfig: null,
    Links: null,
    Aliases: null,
    MacAddress: '9a:3c:11:52:f0:07',
    DriverOpts: null,
    GwPriority: 0,
    NetworkID: NETWORK_ID,
    EndpointID: 'e7',
    Gateway: '172.17.0.1',
    IPAddress: '172.17.0.2',
    IPPrefixLen: 16,
    IPv6Gateway: '',
    GlobalIPv6Address: '',
    GlobalIPv6PrefixLen: 0,
    DNSNames: null,
    ...changes,
  };
}

export function network(changes: Json = {}): Json {
  return {
    Name: 'shop_default',
    Id: NETWORK_ID,
    Created: '2025-11-21T19:20:10.1Z',
    Scope: 'local',
    Driver: 'bridge',
    EnableIPv4: true,
    EnableIPv6: false,
    IPAM: { Driver: 'default', Options: null, Config: [{ Subnet: '172.18.0.0/16', Gateway: '172.18.0.1' }] },
    Internal: false,
    Attachable: false,
    Ingress: false,
    ConfigFrom: { Network: '' },
    ConfigOnly: false,
    Containers: {},
    Options: {},
    Labels: { 'com.docker.compose.network': 'default' },
    ...changes,
  };
}

export function volume(changes: Json = {}): Json {
  return {
    CreatedAt: '2025-11-21T19:20:09Z',
    Driver: 'local',
    Labels: null,
    Mountpoint: '/var/lib/docker/volumes/data/_data',
    Name: 'data',
    Options: null,
    Scope: 'local',
    ...changes,
  };
}

export function engineInfo(changes: Json = {}): Json {
  return {
    ServerVersion: '28.5.2+dfsg3',
    OSType: 'linux',
    Driver: 'overlay2',
    DriverStatus: [
      ['Backing Filesystem', 'extfs'],
      ['Supports d_type', 'true'],
    ],
    CgroupDriver: 'cgroupfs',
    CgroupVersion: '1',
    NCPU: 4,
    InitCommit: { ID: '' },
    SecurityOptions: ['name=seccomp,profile=builtin'],
    DefaultRuntime: 'runc',
    Runtimes: {
      runc: { path: 'runc' },
      'io.containerd.runc.v2': { path: 'runc' },
      holdfast: { path: '/usr/local/lib/holdfast/runtime' },
      runsc: { path: '/usr/local/bin/runsc' },
    },
    Plugins: { Volume: ['local'], Network: ['bridge', 'host'], Log: ['json-file', 'local', 'syslog'] },
    ...changes,
  };
}
