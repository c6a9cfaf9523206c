import t from 'tap';
import { described } from './described.ts';
import { type Changes, engineInfo, ID } from './recorded.ts';

const refusals: [string, string, Changes, RegExp][] = [
  ['a terminal', 'TERMINAL_ATTACHED', { config: { Tty: true } }, /--tty/],
  ['an open input', 'TERMINAL_ATTACHED', { config: { OpenStdin: true } }, /--interactive/],
  ['a device', 'HOST_DEVICE', { hostConfig: { Devices: [{ PathOnHost: '/dev/fuse' }] } }, /--device,/],
  ['a GPU', 'HOST_DEVICE', { hostConfig: { DeviceRequests: [{ Count: -1 }] } }, /--gpus/],
  ['privileges', 'HOST_DEVICE', { hostConfig: { Privileged: true } }, /--privileged/],
  [
    'a device that is throttled',
    'HOST_DEVICE',
    { hostConfig: { BlkioDeviceReadBps: [{}] } },
    /--device-read-bps/,
  ],
  ["the host's processes", 'NAMESPACE_SHARED', { hostConfig: { PidMode: 'host' } }, /--pid/],
  ["another's processes", 'NAMESPACE_SHARED', { hostConfig: { PidMode: `container:${ID}` } }, /--pid/],
  ['ipc that others may join', 'NAMESPACE_SHARED', { hostConfig: { IpcMode: 'shareable' } }, /--ipc/],
  ["the host's ipc", 'NAMESPACE_SHARED', { hostConfig: { IpcMode: 'host' } }, /--ipc/],
  ["the host's name", 'NAMESPACE_SHARED', { hostConfig: { UTSMode: 'host' } }, /--uts/],
  ["another's network", 'NAMESPACE_SHARED', { hostConfig: { NetworkMode: `container:${ID}` } }, /--network/],
  ["another's volumes", 'VOLUME_SHARED', { hostConfig: { VolumesFrom: ['db'] } }, /--volumes-from/],
  ['a link by address', 'SETTING_REFUSED', { hostConfig: { Links: ['/db:/shop/db'] } }, /--link/],
  ['shared propagation', 'SETTING_REFUSED', { hostConfig: { Binds: ['/srv:/srv:ro,rslave'] } }, /--volume/],
  [
    'shared propagation, by --mount',
    'SETTING_REFUSED',
    {
      hostConfig: {
        Mounts: [{ Type: 'bind', Source: '/s', Target: '/s', BindOptions: { Propagation: 'rshared' } }],
      },
    },
    /bind-propagation/,
  ],
  [
    'a file system of an image',
    'SETTING_REFUSED',
    { hostConfig: { Mounts: [{ Type: 'image', Target: '/i' }] } },
    /--mount/,
  ],
  [
    'a quota on its layer',
    'SETTING_REFUSED',
    { hostConfig: { StorageOpt: { size: '10G' } } },
    /--storage-opt/,
  ],
  [
    'an unknown security option',
    'SETTING_REFUSED',
    { hostConfig: { SecurityOpt: ['writable-cgroups=true'] } },
    /--security-opt/,
  ],
  [
    "CRIU's own annotation",
    'SETTING_REFUSED',
    { hostConfig: { Annotations: { 'org.criu.config': '/x' } } },
    /--annotation/,
  ],
  ['a runtime that is not runc', 'SETTING_REFUSED', { hostConfig: { Runtime: 'runsc' } }, /--runtime/],
  [
    'labels of SELinux',
    'SETTING_REFUSED',
    { container: { ProcessLabel: 'system_u:system_r:container_t:s0:c1,c2' } },
    /SELinux/,
  ],
  [
    'a swarm behind it',
    'SWARM_SERVICE',
    { config: { Labels: { 'com.docker.swarm.task.id': 'x' } } },
    /swarm/,
  ],
  ['a setting of a newer Docker', 'SETTING_UNKNOWN', { hostConfig: { Levitate: true } }, /Levitate/],
  [
    'a setting of a newer Docker in a mount',
    'SETTING_UNKNOWN',
    { hostConfig: { Mounts: [{ Type: 'tmpfs', Target: '/t', Warp: 9 }] } },
    /Warp/,
  ],
  [
    'paused processes',
    'CONTAINER_NOT_RUNNING',
    { container: { State: { Status: 'paused', Pid: 0 } } },
    /paused/,
  ],
  [
    'a restart under way',
    'CONTAINER_NOT_RUNNING',
    { container: { State: { Status: 'restarting', Pid: 0 } } },
    /restarting/,
  ],
];

for (const [what, code, changes, named] of refusals) {
  t.test(`a container with ${what} is refused by name`, async (t) => {
    const { findings } = await described(t, changes);
    t.equal(findings[0]?.code, code);
    t.match(findings[0]?.message, named);
    t.match(findings[0]?.mend, /\w/);
    t.equal(findings.length, 1, 'and for nothing else');
  });
}

t.test('nobody may be at work in it but its health check', async (t) => {
  const session = (entrypoint: string, args: string[]) => ({
    ...{ Running: true, ProcessConfig: { entrypoint, arguments: args } },
  });
  const changes = {
    container: { ExecIDs: ['one'] },
    config: { Healthcheck: { Test: ['CMD-SHELL', 'curl -f http://localhost/ || exit 1'] } },
  };
  const check = session('/bin/sh', ['-c', 'curl -f http://localhost/ || exit 1']);
  t.same((await described(t, changes, { execs: { one: check } })).findings, []);
  t.match((await described(t, changes, { execs: { one: session('psql', ['-W', 'hunter2']) } })).findings, [
    { code: 'EXEC_OPEN', message: /^(?!.*hunter2)/ },
  ]);
  t.same((await described(t, changes)).findings, [], 'a session that has ended stands against nothing');
});

t.test('an engine that containers cannot be moved with is told', async (t) => {
  const unsuitable: [object, RegExp][] = [
    [{ ServerVersion: '24.0.9' }, /release 24/],
    [{ SecurityOptions: ['name=seccomp,profile=builtin', 'name=rootless'] }, /without root/],
    [{ SecurityOptions: ['name=userns'] }, /maps users/],
    [{ Driver: 'btrfs' }, /btrfs/],
    [{ Driver: 'overlayfs', DriverStatus: [['driver-type', 'io.containerd.snapshotter.v1']] }, /overlayfs/],
  ];
  for (const [info, why] of unsuitable) {
    const { findings } = await described(t, {}, { info: engineInfo(info as Record<string, unknown>) });
    t.match(findings, [{ code: 'DOCKER_UNSUITABLE', message: why }]);
  }
});
