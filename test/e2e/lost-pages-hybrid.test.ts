import { Strategy } from '../../migrator/events.ts';
import { Loss, losePages } from './lost-pages.ts';

await losePages(Strategy.hybrid, [Loss.link, Loss.host]);
