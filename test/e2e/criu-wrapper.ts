import type { Scene } from './scene.ts';

/** Comes before the real one on the agent's PATH. */
const WRAPPED = '/usr/local/sbin/criu';
const GO = '/run/criu-may-go-on';
const RESTORES =
  'restores() { [ "$program" = swrk ] && ls /run/holdfast/images/*/inventory.img >/dev/null 2>&1; }';

/**
 * CRIU as it is called for a dump is stopped when the first page images are there, by a process that is no
 * child of it: the end of one would be taken for that of a process it dumps.
 */
const STOP_IN_THE_MIDDLE = `[ "$1" != dump ] || ( (
  until set -- /run/holdfast/images/*/pages-1.img && [ -e "$1" ]; do :; done
  kill -STOP $$
) >/dev/null 2>&1 & )`;
const WAIT_AT_THE_BEGINNING = `! restores || until [ -e ${GO} ]; do sleep 0.01; done`;

/**
 * Put a script in the place of a host's CRIU that does something before the real one goes on. In it, `restores` tells
 * whether there is a checkpoint to restore: runc calls CRIU before that, too, and when a restore is begun ahead.
 */
export async function wrapCriu(scene: Scene, host: string, first: string): Promise<void> {
  await scene.sh(
    host,
    `printf '#!/bin/sh\\nprogram=$1\\n%s\\n%s\\nexec /usr/sbin/criu "$@"\\n' '${RESTORES}' '${first}' > ${WRAPPED}.new
     chmod 755 ${WRAPPED}.new; mv ${WRAPPED}.new ${WRAPPED}`,
  );
}

export async function unwrapCriu(scene: Scene, host: string): Promise<void> {
  await scene.sh(host, `rm -f ${WRAPPED} ${GO}`);
}

/**
 * A dump that stands still in the middle, and goes on when something has been done: the checkpoint is on its way then, and
 * cannot be whole, whatever is sent and however fast the machine is.
 */
export const midDump = {
  arrange: (scene: Scene) => wrapCriu(scene, scene.here, STOP_IN_THE_MIDDLE),

  async meet(scene: Scene, make: () => Promise<unknown>): Promise<void> {
    const { here } = scene;
    const stopped = `grep -qs "^State:.T" $(pgrep -x criu | sed "s|.*|/proc/&/status|")`;
    await scene.sh(here, `until ${stopped}; do sleep 0.01; done`);
    await make();
    await scene.sh(here, 'pkill -CONT -x criu');
  },
} as const;

/** A restore that begins when something has been done. */
export const beforeRestore = {
  arrange: (scene: Scene) => wrapCriu(scene, scene.there, WAIT_AT_THE_BEGINNING),

  async meet(scene: Scene, make: () => Promise<unknown>): Promise<void> {
    await make();
    await scene.sh(scene.there, `touch ${GO}`);
  },
} as const;
