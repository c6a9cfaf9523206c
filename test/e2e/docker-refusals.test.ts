import t from 'tap';
import { whyNoLab } from '../lab/needs-lab.ts';
import { APP } from '../system/configs.ts';
import { MARK, NETWORK, OTHER, type Refusal, refuse, SUBNET, VOLUME } from './docker-refusals.ts';

const refusals: Refusal[] = [
  { name: 'it has a terminal', code: 'TERMINAL_ATTACHED', run: ['--tty'], named: /--tty/ },
  { name: 'its input is open', code: 'TERMINAL_ATTACHED', run: ['--interactive'], named: /--interactive/ },
  { name: 'it has a device', code: 'HOST_DEVICE', run: ['--device', '/dev/full'], named: /--device,/ },
  { name: 'it has all devices', code: 'HOST_DEVICE', run: ['--privileged'], named: /--privileged/ },
  {
    name: "it has Docker's socket",
    code: 'HOST_DEVICE',
    run: ['-v', '/run/docker.sock:/d.sock'],
    named: /docker\.sock/,
  },
  { name: "it sees the host's processes", code: 'NAMESPACE_SHARED', run: ['--pid', 'host'], named: /--pid/ },
  { name: 'its memory may be shared', code: 'NAMESPACE_SHARED', run: ['--ipc', 'shareable'], named: /--ipc/ },
  { name: "it has the host's name", code: 'NAMESPACE_SHARED', run: ['--uts', 'host'], named: /--uts/ },
  {
    name: "it has another one's network",
    code: 'NAMESPACE_SHARED',
    run: ['--network', `container:${APP}`],
    named: /--network/,
  },
  {
    name: "it has another one's volumes",
    code: 'VOLUME_SHARED',
    run: ['--volumes-from', APP],
    named: /--volumes-from/,
  },
  {
    name: 'another one uses its volume',
    code: 'VOLUME_SHARED',
    run: ['-v', `${VOLUME}:/d`],
    named: /shop uses its volume data/,
  },
  {
    name: 'it is linked to another one',
    code: 'SETTING_REFUSED',
    run: ['--link', 'neighbour'],
    named: /--link/,
  },
  {
    name: 'what it mounts is not at the destination',
    code: 'MOUNT_SOURCE_MISSING',
    run: ['-v', `${MARK}:/d`],
    named: /only-here/,
  },
  {
    name: 'its port is at an address of the source',
    code: 'HOST_ADDRESS_MISSING',
    run: ['-p', 'SOURCE:9000:9000'],
    named: /SOURCE/,
  },
  {
    name: 'its own address cannot be had at the destination',
    code: 'NETWORK_DIFFERS',
    run: ['--network', NETWORK, '--ip', '10.99.0.77'],
    named: /other/,
    before: (scene) => scene.docker(scene.there, 'network', 'create', '--subnet', SUBNET, 'other'),
    after: (scene) => scene.docker(scene.there, 'network', 'rm', 'other'),
  },
  {
    name: 'somebody is in it',
    code: 'EXEC_OPEN',
    run: [],
    named: /docker exec/,
    before: (scene) => scene.docker(scene.here, 'exec', '--detach', OTHER, 'sleep', 'infinity'),
  },
];

const skip = await whyNoLab();
t.test('Docker containers that cannot be moved for what they are', { skip, timeout: 175_000 }, (t) =>
  refuse(t, refusals),
);
