import { Strategy } from '../../migrator/events.ts';
import { losePages } from './lost-pages.ts';

await losePages(Strategy.postCopy);
