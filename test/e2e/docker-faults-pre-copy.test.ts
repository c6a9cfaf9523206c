import { Strategy } from '../../migrator/events.ts';
import { DockerScene } from './docker-scene.ts';
import { surviveSixFaults } from './six-faults.ts';

await surviveSixFaults(Strategy.preCopy, DockerScene.open);
