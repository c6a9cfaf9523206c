import type { LinkFlow } from '../../../migrator/transfer/link-flow.ts';
import { LinkShare } from '../../../migrator/transfer/link-share.ts';

/** For a sender that has the link to itself. */
export function alone(): LinkFlow {
  return new LinkShare().flow('the other end');
}
