/** Objects of the Docker Engine API (1.44 to 1.51), as far as they are looked into; dockerode's types lag behind. */

type Strings = Readonly<Record<string, string>>;

export interface Inspected {
  readonly Id: string;
  readonly Name: string;
  /** The image's id. */
  readonly Image: string;
  readonly Driver: string;
  readonly Platform: string;
  readonly ProcessLabel: string;
  readonly AppArmorProfile: string;
  readonly ExecIDs: readonly string[] | null;
  readonly State: InspectedState;
  /** Where overlay2 has the container's own files, and its mounted whole. */
  readonly GraphDriver: { readonly Data: { readonly UpperDir?: string; readonly MergedDir?: string } | null };
  readonly Mounts: readonly MountPoint[] | null;
  readonly Config: ContainerConfig & Readonly<Record<string, unknown>>;
  readonly HostConfig: HostConfig & Readonly<Record<string, unknown>>;
  readonly NetworkSettings: {
    readonly Ports: PortMap | null;
    readonly Networks: Readonly<Record<string, Endpoint>> | null;
  };
}

export interface InspectedState {
  readonly Status: string;
  readonly Pid: number;
  readonly ExitCode: number;
  /** RFC 3339. */
  readonly StartedAt: string;
}

interface ContainerConfig {
  /** The image as the container's maker called it. */
  readonly Image: string;
  readonly Hostname: string;
  readonly Env: readonly string[] | null;
  readonly Cmd: readonly string[] | null;
  readonly Entrypoint: readonly string[] | null;
  readonly Labels: Strings | null;
  readonly MacAddress?: string;
  readonly Healthcheck?: { readonly Test?: readonly string[] } | null;
}

interface HostConfig {
  readonly Binds: readonly string[] | null;
  readonly Mounts?: readonly MountSpec[] | null;
  readonly NetworkMode: string;
  readonly PortBindings: PortMap | null;
  readonly PublishAllPorts: boolean;
  readonly RestartPolicy: RestartPolicy;
  readonly LogConfig: { readonly Type: string; readonly Config: Strings | null };
  readonly Links: readonly string[] | null;
  readonly CgroupParent: string;
  readonly NanoCpus: number;
  readonly CpusetCpus: string;
  readonly CpusetMems: string;
  readonly Init?: boolean | null;
  readonly Runtime?: string;
}

export interface RestartPolicy {
  readonly Name: string;
  readonly MaximumRetryCount: number;
}

/** `80/tcp` and where the host listens for it. An empty port, 0 or a range is the engine's to choose from. */
export type PortMap = Readonly<Record<string, readonly PortBinding[] | null>>;

export interface PortBinding {
  readonly HostIp: string;
  readonly HostPort: string;
}

/** What is mounted, whoever asked for it. */
export interface MountPoint {
  readonly Type: string;
  /** Of a volume. */
  readonly Name?: string;
  /** The path at the host. */
  readonly Source: string;
  readonly Destination: string;
  readonly Driver?: string;
  readonly RW: boolean;
  readonly Propagation: string;
}

/** What `--mount` asked for. */
export interface MountSpec extends Readonly<Record<string, unknown>> {
  readonly Type: string;
  readonly Source?: string;
  readonly Target: string;
}

export interface Endpoint extends Readonly<Record<string, unknown>> {
  readonly NetworkID: string;
  readonly Aliases: readonly string[] | null;
  readonly Links: readonly string[] | null;
  readonly IPAMConfig: { readonly IPv4Address?: string; readonly IPv6Address?: string } | null;
  readonly MacAddress: string;
}

export interface InspectedNetwork extends Readonly<Record<string, unknown>> {
  readonly Name: string;
  readonly Id: string;
  readonly Driver: string;
  readonly IPAM: {
    readonly Driver: string;
    readonly Options: Strings | null;
    readonly Config: readonly Subnet[] | null;
  };
  readonly Containers?: Readonly<Record<string, NetworkMember>> | null;
}

export interface Subnet extends Readonly<Record<string, unknown>> {
  readonly Subnet: string;
}

export interface NetworkMember {
  readonly Name: string;
  readonly IPv4Address: string;
  readonly IPv6Address: string;
}

export interface InspectedVolume extends Readonly<Record<string, unknown>> {
  readonly Name: string;
  readonly Driver: string;
  readonly Mountpoint: string;
  readonly CreatedAt?: string;
  readonly Options: Strings | null;
  readonly Labels: Strings | null;
}

export interface InspectedImage {
  readonly Id: string;
}

export interface EngineInfo {
  readonly ServerVersion: string;
  readonly Driver: string;
  /** Pairs; `driver-type` names containerd's own store. */
  readonly DriverStatus: readonly (readonly [string, string])[] | null;
  readonly CgroupDriver: string;
  readonly CgroupVersion: string;
  readonly NCPU: number;
  readonly OSType: string;
  readonly InitCommit?: { readonly ID: string };
  /** `name=apparmor`, `name=seccomp,profile=builtin`, … */
  readonly SecurityOptions: readonly string[] | null;
  readonly DefaultRuntime: string;
  readonly Runtimes: Readonly<
    Record<string, { readonly path?: string; readonly runtimeArgs?: readonly string[] }>
  >;
  readonly Plugins: { readonly Log: readonly string[] | null; readonly Volume: readonly string[] | null };
}

export interface ListedContainer {
  readonly Id: string;
  readonly Names: readonly string[];
  readonly State: string;
  readonly Ports: readonly {
    readonly IP?: string;
    readonly PublicPort?: number;
    readonly Type: string;
  }[];
}
