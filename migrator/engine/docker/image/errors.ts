import { HoldfastError } from '../../../errors.ts';

/** An image's bytes at one of the engines, or on the way, are not those its digest names. */
export function layerDamaged(digest: string): HoldfastError {
  return new HoldfastError('LAYER_DAMAGED', `what arrived of ${digest} has another digest`, {
    mend: 'migrate again; if it recurs, check disk and memory of both hosts, and docker save at the source',
    retryable: true,
  });
}

/** The source's engine does not hand out what the image is made of, by digest. */
export function layersUnavailable(imageId: string, why: string, cause?: unknown): HoldfastError {
  return new HoldfastError('LAYERS_UNAVAILABLE', `${imageId} cannot be read from Docker: ${why}`, {
    mend: 'see that docker save works at the source, and that it is Docker 25 or newer',
    cause,
  });
}

export function imageNotFound(imageId: string): HoldfastError {
  return new HoldfastError('IMAGE_NOT_FOUND', `Docker at the source has no image ${imageId}`, {
    mend: 'docker image ls --all at the source',
  });
}

/** Deleted again and again at the destination, while it was brought there. */
export function imageVanished(imageId: string): HoldfastError {
  return new HoldfastError('IMAGE_VANISHED', `${imageId}, or layers it shares, kept being deleted`, {
    mend: 'stop what deletes images at the destination (docker image prune), and migrate again',
    retryable: true,
  });
}

export function loadFailed(imageId: string, why: string): HoldfastError {
  return new HoldfastError('IMAGE_LOAD_FAILED', `Docker did not take in ${imageId}: ${why}`, {
    mend: "see dockerd's log at the destination",
  });
}

export function layersDiskFull(where: string, cause?: unknown): HoldfastError {
  return new HoldfastError('LAYERS_DISK_FULL', `there is no room for image layers in ${where}`, {
    mend: 'free or add space at the destination; docker image prune removes images that nothing uses',
    cause,
  });
}

/** The other agent does not speak as this one does. */
export function imageStreamInvalid(what: string, cause?: unknown): HoldfastError {
  return new HoldfastError('IMAGE_STREAM_INVALID', `an image came in a way not understood: ${what}`, {
    mend: 'run the same version of Holdfast on both hosts',
    cause,
  });
}

/** A file system's refusal to take more, told as such; anything else as it is. */
export function translateSpoolError(error: unknown, dir: string): unknown {
  const code = (error as NodeJS.ErrnoException).code;
  return code === 'ENOSPC' || code === 'EDQUOT' ? layersDiskFull(dir, error) : error;
}
