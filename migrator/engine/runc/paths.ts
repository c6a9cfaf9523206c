import { join } from 'node:path';

/** Where the engine keeps what on a host. All of it is on tmpfs and gone after a reboot, as the containers are. */
export interface RuncPaths {
  /** `runc --root`. */
  readonly runcRoot: string;
  readonly bundleDir: (name: string) => string;
  /** The runc that is at work on a container. Beside the bundle, so that it lives and goes with it. */
  readonly operationFile: (name: string) => string;
}

export function runcPaths(runDir: string): RuncPaths {
  const bundleDir = (name: string) => join(runDir, 'bundles', name);
  return {
    runcRoot: join(runDir, 'runc'),
    bundleDir,
    operationFile: (name) => join(bundleDir(name), 'operation.json'),
  };
}
