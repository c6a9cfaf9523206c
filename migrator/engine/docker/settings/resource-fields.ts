import { carried, type Fields, refused } from './field.ts';

const DEVICE = { code: 'HOST_DEVICE' };
const ONE_OF_THIS_HOST = 'a device is one of this host';
const WINDOWS = 'it is for Windows';
const REALTIME = "the share of real-time CPU belongs to this host's Docker";

/** Those of `HostConfig` that become limits of a cgroup, or a process's own. */
export const RESOURCE_FIELDS: Fields = {
  CpuShares: carried('--cpu-shares'),
  Memory: carried('--memory'),
  NanoCpus: carried('--cpus', 'if the destination has as many'),
  CgroupParent: carried('--cgroup-parent', 'if both engines have the same cgroup driver'),
  BlkioWeight: carried('--blkio-weight'),
  BlkioWeightDevice: refused('--blkio-weight-device', ONE_OF_THIS_HOST, DEVICE),
  BlkioDeviceReadBps: refused('--device-read-bps', ONE_OF_THIS_HOST, DEVICE),
  BlkioDeviceWriteBps: refused('--device-write-bps', ONE_OF_THIS_HOST, DEVICE),
  BlkioDeviceReadIOps: refused('--device-read-iops', ONE_OF_THIS_HOST, DEVICE),
  BlkioDeviceWriteIOps: refused('--device-write-iops', ONE_OF_THIS_HOST, DEVICE),
  CpuPeriod: carried('--cpu-period'),
  CpuQuota: carried('--cpu-quota'),
  CpuRealtimePeriod: refused('--cpu-rt-period', REALTIME),
  CpuRealtimeRuntime: refused('--cpu-rt-runtime', REALTIME),
  CpusetCpus: carried('--cpuset-cpus', 'if the destination has them'),
  CpusetMems: carried('--cpuset-mems', 'if the destination has them'),
  Devices: refused('--device', ONE_OF_THIS_HOST, DEVICE),
  DeviceCgroupRules: refused('--device-cgroup-rule', ONE_OF_THIS_HOST, DEVICE),
  DeviceRequests: refused('--gpus', 'what it holds is out of reach for CRIU', DEVICE),
  KernelMemory: refused('--kernel-memory', 'Docker has dropped it'),
  KernelMemoryTCP: refused('--kernel-memory-tcp', 'Docker has dropped it'),
  MemoryReservation: carried('--memory-reservation'),
  MemorySwap: carried('--memory-swap'),
  MemorySwappiness: carried('--memory-swappiness'),
  OomKillDisable: carried('--oom-kill-disable'),
  PidsLimit: carried('--pids-limit'),
  Ulimits: carried('--ulimit', "the destination's daemon may add those it has as a default"),
  CpuCount: refused('CpuCount', WINDOWS),
  CpuPercent: refused('CpuPercent', WINDOWS),
  IOMaximumIOps: refused('IOMaximumIOps', WINDOWS),
  IOMaximumBandwidth: refused('IOMaximumBandwidth', WINDOWS),
};
