import { Strategy } from '../../migrator/events.ts';
import { DockerScene } from './docker-scene.ts';
import { surviveFaultsThere } from './six-faults.ts';

await surviveFaultsThere([Strategy.hybrid, Strategy.postCopy], DockerScene.open);
