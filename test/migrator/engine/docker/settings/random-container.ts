/** Containers as nobody would start them, to see that all of it arrives. */

type Json = Record<string, unknown>;

export interface RandomContainer {
  readonly name: string;
  /** For `POST /containers/create`. */
  readonly body: Json;
  /** Networks and volumes it wants to find, by their names. */
  readonly networks: Readonly<Record<string, Json>>;
  readonly volumes: Readonly<Record<string, Json>>;
}

/** What is in every host, as a directory and as a file. */
const BINDS = ['/opt', '/etc/debian_version'];
const SLEEP = ['sleep', 'infinity'];
const SECCOMP = JSON.stringify({ defaultAction: 'SCMP_ACT_ALLOW', syscalls: [] });

/** The same seed makes the same container. */
export function randomContainer(seed: number, image: string): RandomContainer {
  const dice = new Dice(seed);
  const name = `random-${seed}`;
  const volume = `${name}-volume`;
  const made = networksFor(dice, name, seed);
  const ports = portsFor(dice, seed);
  const hasPolicy = dice.chance(0.5);
  const body: Json = {
    Image: image,
    ...dice.pick([
      { Cmd: SLEEP },
      { Entrypoint: SLEEP },
      { Entrypoint: ['/usr/bin/env'], Cmd: ['LC_ALL=C', ...SLEEP] },
    ]),
    ...dice.some({
      Hostname: () => dice.pick(['web', 'web.example.org', 'a']),
      Domainname: () => 'example.org',
      User: () => dice.pick(['0', '1000:1000', 'nobody', 'www-data:daemon']),
      Env: () => ['A=', 'QUOTES="\'$x', `SEED=${seed}`, 'UMLAUT=ä', 'LINES=1\n2'],
      Labels: () => ({ 'com.docker.compose.project': 'p', empty: '', odd: '"{}\u2028' }),
      WorkingDir: () => dice.pick(['/', '/tmp', '/made/by/docker']),
      StopSignal: () => dice.pick(['SIGINT', '15', 'SIGRTMIN+3']),
      StopTimeout: () => dice.pick([0, 1, 3600]),
      Healthcheck: () =>
        dice.pick<Json>([
          { Test: ['NONE'] },
          { Test: ['CMD', 'true'], Interval: 3_600_000_000_000, Retries: 7, StartInterval: 5_000_000_000 },
          { Test: ['CMD-SHELL', 'exit 0 # "x"'], Timeout: 1_000_000_000, StartPeriod: 2_000_000_000 },
        ]),
      Volumes: () => ({ '/anonymous': {}, '/another one': {} }),
      Shell: () => ['/bin/sh', '-x', '-c'],
      AttachStdout: () => true,
    }),
    ExposedPorts: ports.exposed,
    HostConfig: {
      ...hostConfigFor(dice),
      ...mountsFor(dice, volume),
      ...(hasPolicy
        ? {
            RestartPolicy: dice.pick([
              { Name: 'always' },
              { Name: 'on-failure', MaximumRetryCount: 3 },
              { Name: 'unless-stopped' },
            ]),
          }
        : { AutoRemove: dice.chance(0.3) }),
      ...(made.canPublish ? { PortBindings: ports.bindings, PublishAllPorts: dice.chance(0.3) } : {}),
      ...(made.canPublish && dice.chance(0.3) ? { Sysctls: { 'net.core.somaxconn': '100' } } : {}),
      NetworkMode: made.mode,
    },
    NetworkingConfig: { EndpointsConfig: made.endpoints },
  };
  const labels = { 'made.for': name };
  const volumes = {
    [volume]: dice.pick<Json>([{ Labels: labels }, { Labels: { ...labels, 'made.by': 'dice' } }]),
  };
  return { name, body, networks: made.networks, volumes };
}

function hostConfigFor(dice: Dice): Json {
  return { ...limitsFor(dice), ...dice.some(hostOptions(dice)) };
}

/** Those that need one another. */
function limitsFor(dice: Dice): Json {
  return {
    ...dice.pick<Json>([
      {},
      { Memory: 64 << 20 },
      { Memory: 64 << 20, MemorySwap: 80 << 20, MemoryReservation: 32 << 20 },
      { MemoryReservation: 32 << 20, MemorySwappiness: 0 },
    ]),
    ...dice.pick<Json>([{}, { NanoCpus: 500_000_000 }, { CpuPeriod: 50_000, CpuQuota: 25_000 }]),
  };
}

function hostOptions(dice: Dice): Readonly<Record<string, () => unknown>> {
  return {
    CapAdd: () => dice.pick([['NET_ADMIN'], ['CAP_SYS_PTRACE', 'CHOWN'], ['ALL']]),
    CapDrop: () => dice.pick([['NET_RAW'], ['MKNOD', 'AUDIT_WRITE']]),
    Ulimits: () => [
      { Name: 'nofile', Soft: 1024, Hard: 4096 },
      { Name: 'core', Soft: 0, Hard: 0 },
    ],
    CpuShares: () => dice.pick([2, 512, 262144]),
    CpusetCpus: () => '0',
    PidsLimit: () => dice.pick([100, -1]),
    OomScoreAdj: () => 500,
    LogConfig: () =>
      dice.pick<Json>([
        { Type: 'json-file', Config: { 'max-size': '1m', 'max-file': '3', labels: 'odd' } },
        { Type: 'local', Config: {} },
        { Type: 'none' },
      ]),
    ExtraHosts: () => ['db:10.0.0.7', 'host.docker.internal:host-gateway', 'six:2001:db8::1'],
    Dns: () => ['10.0.0.53', '2001:db8::53'],
    DnsOptions: () => ['ndots:2', 'timeout:1'],
    DnsSearch: () => dice.pick([['example.org', 'internal'], ['.']]),
    GroupAdd: () => dice.pick([['12', 'www-data'], ['44']]),
    ShmSize: () => dice.pick([1 << 20, 128 << 20]),
    ReadonlyRootfs: () => true,
    Tmpfs: () => ({ '/run': '', '/tmp': 'rw,noexec,size=1m,mode=1777' }),
    Init: () => false, // With it the container of this image cannot be moved: its /sbin is a link.
    Sysctls: () => ({ 'kernel.shm_rmid_forced': '1' }),
    SecurityOpt: () =>
      dice.pick([
        ['no-new-privileges'],
        ['seccomp=unconfined'],
        [`seccomp=${SECCOMP}`, 'no-new-privileges:true'],
      ]),
    IpcMode: () => dice.pick(['none', 'private']),
    CgroupnsMode: () => dice.pick(['host', 'private']),
    Annotations: () => ({ 'com.example/note': 'x=y' }),
    ConsoleSize: () => [24, 80],
    MaskedPaths: () => dice.pick([[], ['/proc/kcore']]),
    ReadonlyPaths: () => dice.pick([[], ['/proc/sys']]),
    ContainerIDFile: () => '/tmp/cid',
    VolumeDriver: () => 'local',
    UsernsMode: () => 'host',
    CgroupParent: () => '/holdfast-test',
  };
}

function mountsFor(dice: Dice, volume: string): Json {
  return dice.some({
    Binds: () => [
      `${BINDS[0]}:/bound:ro`,
      `${BINDS[1]}:/bound file:ro,z`,
      ...(dice.chance(0.5) ? [`${volume}:/named:nocopy`, `${volume}:/named-again:ro`] : []),
    ],
    Mounts: () => [
      {
        Type: 'bind',
        Source: BINDS[0],
        Target: '/mounted',
        ReadOnly: true,
        BindOptions: { Propagation: 'rprivate', NonRecursive: true },
      },
      { Type: 'tmpfs', Target: '/mem', TmpfsOptions: { SizeBytes: 1 << 20, Mode: 0o1770 } },
      { Type: 'volume', Target: '/nameless/', VolumeOptions: { Labels: { x: 'y' } } },
      { Type: 'volume', Source: volume, Target: '/by-mount', VolumeOptions: { NoCopy: true } },
    ],
  });
}

function portsFor(dice: Dice, seed: number) {
  const exposed = { '80/tcp': {}, '443/tcp': {}, '53/udp': {} };
  const bindings: Json = dice.some({
    '80/tcp': () => [{ HostPort: '' }, { HostPort: String(20_000 + seed) }],
    '443/tcp': () => [{ HostIp: '127.0.0.1', HostPort: '' }],
    '53/udp': () => [{ HostIp: '0.0.0.0', HostPort: `${30_000 + 10 * seed}-${30_009 + 10 * seed}` }],
    '9000/tcp': () => [{ HostIp: '::', HostPort: '0' }],
  });
  return { exposed, bindings };
}

function networksFor(dice: Dice, name: string, seed: number) {
  const [front, back] = [`${name}-front`, `${name}-back`];
  const kind = dice.pick(['bridge', 'bridge', 'none', 'host', 'own', 'own', 'own']);
  if (kind !== 'own') {
    return { mode: kind, endpoints: {}, networks: {}, canPublish: kind === 'bridge' };
  }
  const net = `10.${100 + (seed % 100)}`;
  const networks: Record<string, Json> = {
    [front]: {
      Driver: 'bridge',
      IPAM: { Config: [{ Subnet: `${net}.0.0/24`, IPRange: `${net}.0.128/25` }] },
    },
    [back]: {
      ...{ Driver: 'bridge', Internal: true, Attachable: true, Labels: { odd: '"{}' } },
      Options: { 'com.docker.network.driver.mtu': '1400' },
    },
  };
  const endpoints: Record<string, Json> = {
    [front]: dice.some({
      IPAMConfig: () => ({ IPv4Address: `${net}.0.9` }),
      Aliases: () => ['www', 'static'],
      MacAddress: () => '02:00:5e:00:53:01',
      DriverOpts: () => ({ 'com.docker.network.endpoint.sysctls': 'net.ipv4.conf.IFNAME.forwarding=1' }),
      GwPriority: () => 7,
    }),
    ...(dice.chance(0.5) ? { [back]: { Aliases: ['db'] } } : {}),
  };
  return { mode: front, endpoints, networks, canPublish: true };
}

/** Mulberry32. */
class Dice {
  #state: number;

  constructor(seed: number) {
    this.#state = seed;
  }

  chance(share: number): boolean {
    return this.#next() < share;
  }

  pick<T>(values: readonly T[]): T {
    return values[Math.floor(this.#next() * values.length)] as T;
  }

  /** Some of these fields. */
  some(fields: Readonly<Record<string, () => unknown>>): Json {
    const chosen = Object.entries(fields).filter(() => this.chance(0.4));
    return Object.fromEntries(chosen.map(([field, value]) => [field, value()]));
  }

  #next(): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  }
}
