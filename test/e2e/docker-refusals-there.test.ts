import t from 'tap';
import { APP_IMAGE } from '../lab/docker.ts';
import { whyNoLab } from '../lab/needs-lab.ts';
import { APP } from '../system/configs.ts';
import { installRuntime, uninstallRuntime } from '../system/docker-system.ts';
import { NETWORK, type Refusal, refuse, VOLUME } from './docker-refusals.ts';

const refusals: Refusal[] = [
  {
    name: 'the runtime is not installed at the destination',
    code: 'DOCKER_RUNTIME_MISSING',
    named: /holdfast/,
    before: (scene) => uninstallRuntime(scene.engine(scene.there)),
    after: (scene) => installRuntime(scene.engine(scene.there)),
  },
  {
    name: 'the destination has a container of its name',
    code: 'CONTAINER_EXISTS',
    named: /shop here already, created/,
    before: (scene) => scene.docker(scene.there, 'create', '--name', APP, APP_IMAGE),
    after: (scene) => scene.docker(scene.there, 'rm', APP),
  },
  {
    name: 'another container has its port at the destination',
    code: 'PORT_TAKEN',
    named: /the container taker listens on tcp port 8080/,
    before: (scene) =>
      scene.docker(
        scene.there,
        'run',
        '-d',
        '--name',
        'taker',
        '-p',
        '8080:1',
        APP_IMAGE,
        'sleep',
        'infinity',
      ),
    after: (scene) => scene.docker(scene.there, 'rm', '-f', 'taker'),
  },
  {
    name: 'the destination has another volume of that name',
    code: 'VOLUME_TAKEN',
    named: /a content of its own/,
    before: (scene) =>
      scene.docker(scene.there, 'run', '--rm', '-v', `${VOLUME}:/d`, APP_IMAGE, 'touch', '/d/file'),
    after: (scene) => scene.docker(scene.there, 'volume', 'rm', VOLUME),
  },
  {
    name: 'the destination keeps the volume of that name in another way',
    code: 'VOLUME_DIFFERS',
    named: /\(local\) than here \(local, device, type\)/,
    before: (scene) =>
      scene.docker(scene.there, ...['volume', 'create', '-o', 'type=tmpfs', '-o', 'device=tmpfs', VOLUME]),
    after: (scene) => scene.docker(scene.there, 'volume', 'rm', VOLUME),
  },
  {
    name: 'the network of that name is closed at the destination',
    code: 'NETWORK_DIFFERS',
    named: /internal bridge here/,
    before: (scene) => scene.docker(scene.there, 'network', 'create', '--internal', NETWORK),
    after: (scene) => scene.docker(scene.there, 'network', 'rm', NETWORK),
  },
];

const skip = await whyNoLab();
t.test('Docker containers that cannot be had at the destination', { skip, timeout: 175_000 }, (t) =>
  refuse(t, refusals),
);
