import { randomBytes } from 'node:crypto';
import { HoldfastError } from '../../migrator/errors.ts';
import { type LabHost, labHost, startHost } from './host.ts';
import type { Link } from './link.ts';
import { checkMachine } from './machine.ts';
import { checkNames } from './names.ts';
import { claimSubnet, connectHosts, gatewayAddress, hostAddress } from './network.ts';
import { removeLab } from './remove.ts';
import { ensureRootfs } from './rootfs.ts';
import { claimName, type HostState, identityOf, type LabState, writeState } from './state.ts';

export type { LabHost } from './host.ts';
export { type Link, parseLink } from './link.ts';
export { leftovers } from './remove.ts';

export interface LabOptions {
  readonly name?: string;
  /** `a` and `b` when not given. */
  readonly hosts?: readonly string[];
  /** The link of every host. */
  readonly link?: Link;
  readonly signal?: AbortSignal;
  /** Told what takes long: building the root file system on first use. */
  readonly log?: (line: string) => void;
}

export interface Lab {
  readonly name: string;
  /** The machine's own address on the lab's bridge. */
  readonly gatewayAddress: string;
  readonly hosts: ReadonlyMap<string, LabHost>;
  host(name: string): LabHost;
  down(): Promise<void>;
}

const UP_TIMEOUT_MS = 60_000;

/** Make a lab. It goes away with `down()`, and with this process at the latest. */
export async function createLab(options: LabOptions = {}): Promise<Lab> {
  const name = options.name ?? `lab-${process.pid}-${randomBytes(3).toString('hex')}`;
  const hostNames = options.hosts ?? ['a', 'b'];
  checkNames(name, hostNames);
  const log = options.log ?? (() => {});
  const forever = options.signal ?? new AbortController().signal;
  await checkMachine(log, forever);
  const rootfs = await ensureRootfs(log, forever);
  const signal = AbortSignal.any([forever, AbortSignal.timeout(UP_TIMEOUT_MS)]);
  const subnet = claimSubnet(name);
  let state: LabState = { name, owner: identityOf(process.pid), subnet, hosts: [] };
  claimName(state);
  try {
    const hosts = await Promise.all(
      hostNames.map(async (host, index): Promise<HostState> => {
        const initPid = await startHost(name, host, rootfs, signal);
        return { name: host, index, address: hostAddress(subnet, index), initPid, link: {}, cut: false };
      }),
    );
    state = { ...state, hosts };
    writeState(state);
    await connectHosts(name, subnet, hosts, signal);
    return openLab(state);
  } catch (error) {
    removeLab(name);
    throw error;
  }
}

function openLab(state: LabState): Lab {
  const hosts = new Map(state.hosts.map((host) => [host.name, labHost(state.name, host)]));
  return {
    name: state.name,
    gatewayAddress: gatewayAddress(state.subnet),
    hosts,
    host(name) {
      const host = hosts.get(name);
      if (host) return host;
      throw new HoldfastError('LAB_NO_HOST', `lab ${state.name} has no host ${name}`, {
        mend: `name one of ${[...hosts.keys()].join(', ')}`,
      });
    },
    async down() {
      removeLab(state.name);
    },
  };
}
