import type { Scene } from './scene.ts';

/** Comes before the real one on the agent's PATH. */
const WRAPPED = '/usr/local/sbin/criu';

/** Put a script in the place of a host's CRIU that does something before the real one goes on. */
export async function wrapCriu(scene: Scene, host: string, first: string): Promise<void> {
  await scene.sh(
    host,
    `printf '#!/bin/sh\\n%s\\nexec /usr/sbin/criu "$@"\\n' '${first}' > ${WRAPPED}.new
     chmod 755 ${WRAPPED}.new; mv ${WRAPPED}.new ${WRAPPED}`,
  );
}

export async function unwrapCriu(scene: Scene, host: string): Promise<void> {
  await scene.sh(host, `rm -f ${WRAPPED}`);
}
