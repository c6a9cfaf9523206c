import type Docker from 'dockerode';
import { within } from '../../../within.ts';
import type { Finding } from '../../engine.ts';

/**
 * Either end: what stands against moving images of this engine. With containerd's image store an image's id is that of
 * its manifest, and layers are kept compressed: the same image has another id, and other bytes.
 */
export async function admitImages(docker: Docker, signal: AbortSignal): Promise<Finding[]> {
  const info = (await within(docker.info(), signal)) as { DriverStatus?: [string, string][] | null };
  const store = info.DriverStatus?.find(([key]) => key === 'driver-type')?.[1];
  if (store === undefined || !store.startsWith('io.containerd.')) return [];
  return [
    {
      code: 'IMAGE_STORE_UNSUPPORTED',
      message: "Docker keeps its images in containerd's store",
      mend: 'set "features": {"containerd-snapshotter": false} in daemon.json on both hosts; see docs/docker-images.md',
    },
  ];
}
