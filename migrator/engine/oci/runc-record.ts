import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { CgroupDirs } from './cgroup.ts';
import type { OciContainer } from './container.ts';

/** The part that is read here of what runc keeps of a container in `ROOT/ID/state.json`. */
export interface RuncRecord {
  readonly init_process_pid: number;
  readonly init_process_start: number;
  readonly cgroup_paths: CgroupDirs;
  /** What the first process has for stdin, stdout and stderr. */
  readonly external_descriptors?: readonly string[];
  readonly config: {
    readonly rootfs: string;
    readonly mounts?: readonly { readonly destination: string; readonly device: string }[] | null;
    readonly devices?: readonly { readonly path: string }[] | null;
    readonly mask_paths?: readonly string[] | null;
    /** `NEWNET`, `NEWPID`, …, and the path of one that the container was given. */
    readonly namespaces?: readonly { readonly type: string; readonly path: string }[] | null;
  };
}

/** Undefined when there is none, or half of one. */
export async function readRuncRecord({ runcRoot, id }: OciContainer): Promise<RuncRecord | undefined> {
  try {
    const record = JSON.parse(await readFile(join(runcRoot, id, 'state.json'), 'utf8')) as RuncRecord;
    return typeof record.init_process_pid === 'number' ? record : undefined;
  } catch {
    return undefined;
  }
}
