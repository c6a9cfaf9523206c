import { join } from 'node:path';
import type { OciContainer } from '../oci/container.ts';
import { cgroupPath } from './bundle.ts';

/** Where the engine keeps what on a host. All of it is on tmpfs and gone after a reboot, as the containers are. */
export interface RuncPaths {
  /** `runc --root`. */
  readonly runcRoot: string;
  readonly bundleDir: (name: string) => string;
  /** The record of a runc at work on it is beside the bundle, so that it lives and goes with it. */
  readonly containerOf: (name: string) => OciContainer;
}

export function runcPaths(runDir: string): RuncPaths {
  const bundleDir = (name: string) => join(runDir, 'bundles', name);
  const runcRoot = join(runDir, 'runc');
  return {
    runcRoot,
    bundleDir,
    containerOf: (name) => ({
      name,
      runcRoot,
      id: name,
      cgroupPath: cgroupPath(name),
      operationFile: join(bundleDir(name), 'operation.json'),
    }),
  };
}
