import { Strategy } from '../../migrator/events.ts';
import { Loss, losePages } from './lost-pages.ts';

await losePages(Strategy.postCopy, [Loss.link, Loss.daemon, Loss.frozen, Loss.hostForGood]);
