import { PAGE_BYTES } from '../transfer/frame.ts';

/** What a restore takes besides the app's memory, and what the host is to have left. */
const SLACK_BYTES = 64 * 1024 * 1024;

/** With images in memory: the parent, the checkpoint when all of it has changed since, and the restored app. */
const TIMES_IN_MEMORY = 3;

/**
 * How many bytes of pages may be kept that are sent ahead. They lie in memory beside the checkpoint until the restore
 * begins, which needs its room as well; whatever does not fit is sent during the freeze instead.
 *
 * @param room.limitBytes how large the checkpoint may be
 */
export function roomToKeep(room: {
  readonly memoryBytes: number;
  readonly limitBytes: number;
  readonly availableBytes: number;
  readonly imagesInMemory: boolean;
}): number {
  const restoreBytes = room.memoryBytes * (room.imagesInMemory ? TIMES_IN_MEMORY : 1) + SLACK_BYTES;
  const keepBytes = Math.max(0, Math.min(room.limitBytes, room.availableBytes - restoreBytes));
  return keepBytes - (keepBytes % PAGE_BYTES);
}
