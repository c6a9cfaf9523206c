import type { Scene } from './scene.ts';

const FILLER = '/run/holdfast/filler';

/** Leave so much room where a host keeps its images. */
export async function fillDisk(scene: Scene, host: string, leaveBytes = 0): Promise<void> {
  const some = `free=$(($(stat -f -c '%a * %S' /run/holdfast))); fallocate -l $((free - ${leaveBytes})) ${FILLER}`;
  // Others write there too: what was free a moment ago need not be so now.
  const all = `cat /dev/zero >${FILLER} 2>/dev/null || true`;
  await scene.sh(host, leaveBytes === 0 ? all : some);
}

export async function emptyDisks(scene: Scene): Promise<void> {
  await Promise.all([...scene.lab.hosts.keys()].map((host) => scene.sh(host, `rm -f ${FILLER}`)));
}
