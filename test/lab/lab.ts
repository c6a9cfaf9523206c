import { randomBytes } from 'node:crypto';
import { anySignal } from '../../migrator/any-signal.ts';
import { HoldfastError } from '../../migrator/errors.ts';
import { applyCut, applyLink } from './cable.ts';
import { type LabHost, labHost, startHost } from './host.ts';
import { delayed, type Link, limited } from './link.ts';
import { checkMachine } from './machine.ts';
import { checkNames } from './names.ts';
import { claimSubnet, connect, gatewayAddress, hostAddress, startSwitch } from './network.ts';
import { disown, own } from './owned.ts';
import { pruneLabs } from './prune.ts';
import { removeLab } from './remove.ts';
import { ensureRootfs } from './rootfs.ts';
import { claimName, type HostState, identityOf, type LabState, readState, writeState } from './state.ts';

export type { LabHost } from './host.ts';
export { type Link, parseLink } from './link.ts';
export { pruneLabs } from './prune.ts';
export { leftovers } from './remove.ts';

export interface LabOptions {
  /** One of its own for each lab when not given. */
  readonly name?: string;
  /** `a` and `b` when not given. */
  readonly hosts?: readonly string[];
  /** The link of every host; as fast as the machine when not given. */
  readonly link?: Link;
  /** Debian packages the hosts have beyond the usual ones. */
  readonly packages?: readonly string[];
  /** The lab stays when this process ends, until `npm run lab -- down`. */
  readonly keep?: boolean;
  /** Ends the making of the lab, not the lab. */
  readonly signal?: AbortSignal;
  /** Told what takes long: what is installed or built on first use. */
  readonly log?: (line: string) => void;
}

/** Hosts on this machine, each with namespaces and a Debian of its own, and a network between them. */
export interface Lab {
  readonly name: string;
  /** The machine's own address on the lab's network. */
  readonly gatewayAddress: string;
  readonly hosts: ReadonlyMap<string, LabHost>;
  /** @throws HoldfastError `LAB_NO_HOST` */
  host(name: string): LabHost;
  /** Give one host, or all, another link. Open connections live on. */
  setLink(link: Link, host?: string): Promise<void>;
  /** Nothing comes through to or from the host any more, and nobody is told. */
  cutLink(host: string): Promise<void>;
  mendLink(host: string): Promise<void>;
  /** Remove the lab and all that runs in it. A second call does nothing. */
  down(): Promise<void>;
}

const UP_TIMEOUT_MS = 60_000;
const LINK_TIMEOUT_MS = 20_000;

/**
 * Make a lab. It goes away with `down()`, and with this process at the latest unless it is to be kept.
 *
 * @throws HoldfastError `LAB_…`, see machine.ts, rootfs.ts, names.ts, state.ts and started.ts
 */
export async function createLab(options: LabOptions = {}): Promise<Lab> {
  const { hosts = ['a', 'b'], link = {}, packages = [], keep = false, log = () => {} } = options;
  const name = options.name ?? `lab-${process.pid}-${randomBytes(3).toString('hex')}`;
  checkNames(name, hosts);
  const asked = options.signal ?? new AbortController().signal;
  await checkMachine({ delay: delayed(link) }, log, asked);
  const rootfs = await ensureRootfs(log, asked, packages);
  removeOrphans(log);

  const signal = anySignal([asked, AbortSignal.timeout(UP_TIMEOUT_MS)]);
  const owner = keep ? null : identityOf(process.pid);
  const empty: LabState = { name, owner: identityOf(process.pid), subnet: 0, switchPid: 0, hosts: [] };
  claimName(empty);
  own(name);
  try {
    const subnet = claimSubnet(name);
    const [switchPid, ...initPids] = await allOrNone([
      startSwitch(name, signal),
      ...hosts.map((host) => startHost(name, host, rootfs, signal)),
    ]);
    const hostStates = initPids.map(
      (initPid, index): HostState => ({
        name: hosts[index] ?? '',
        index,
        address: hostAddress(subnet, index),
        initPid,
        link,
        cut: false,
      }),
    );
    const state: LabState = { ...empty, owner, subnet, switchPid: switchPid ?? 0, hosts: hostStates };
    await connect(state, signal);
    if (limited(link)) await Promise.all(state.hosts.map((host) => applyLink(state, host, signal)));
    writeState(state);
    if (keep) disown(name);
    return labOf(state);
  } catch (error) {
    disown(name);
    removeLab(name);
    throw error;
  }
}

/** Best done before something new is made, but nothing that is new fails by it. */
function removeOrphans(log: (line: string) => void): void {
  try {
    for (const lab of pruneLabs()) log(`lab: removed ${lab}, which a killed run had left`);
  } catch (error) {
    log(`lab: ${error instanceof Error ? error.message : error}`);
  }
}

/** When one fails the others must have come to an end, too, before what they have made is removed. */
async function allOrNone<T>(tasks: readonly Promise<T>[]): Promise<T[]> {
  const results = await Promise.allSettled(tasks);
  return results.map((result) => {
    if (result.status === 'rejected') throw result.reason;
    return result.value;
  });
}

/**
 * A lab that is up, made by whatever process.
 *
 * @throws HoldfastError `LAB_NOT_UP`
 */
export function openLab(name: string): Lab {
  return labOf(currentState(name));
}

function currentState(name: string): LabState {
  const state = readState(name);
  if (state !== null && state.switchPid !== 0) return state;
  throw new HoldfastError('LAB_NOT_UP', `no lab named ${name} is up`, {
    mend: `npm run lab -- up --name ${name}`,
  });
}

function labOf({ name, subnet, hosts: states }: LabState): Lab {
  const hosts = new Map(states.map((state) => [state.name, labHost(name, state)]));
  const host = (wanted: string): LabHost => {
    const found = hosts.get(wanted);
    if (found) return found;
    throw new HoldfastError('LAB_NO_HOST', `lab ${name} has no host ${wanted}`, {
      mend: `name one of ${[...hosts.keys()].join(', ')}`,
    });
  };
  /** Write down what becomes of a host's cable, then do it. */
  const change = async (
    wanted: readonly string[],
    what: Partial<Pick<HostState, 'link' | 'cut'>>,
    apply: typeof applyLink,
  ): Promise<void> => {
    for (const one of wanted) host(one);
    const before = currentState(name);
    const after = before.hosts.map((state) => (wanted.includes(state.name) ? { ...state, ...what } : state));
    const lab = { ...before, hosts: after };
    writeState(lab);
    const signal = AbortSignal.timeout(LINK_TIMEOUT_MS);
    const changed = after.filter((state) => wanted.includes(state.name));
    await Promise.all(changed.map((state) => apply(lab, state, signal)));
  };
  return {
    name,
    gatewayAddress: gatewayAddress(subnet),
    hosts,
    host,
    async setLink(link, one) {
      if (delayed(link)) await checkMachine({ delay: true }, () => {}, AbortSignal.timeout(LINK_TIMEOUT_MS));
      await change(one === undefined ? [...hosts.keys()] : [one], { link }, applyLink);
    },
    cutLink: (one) => change([one], { cut: true }, applyCut),
    mendLink: (one) => change([one], { cut: false }, applyCut),
    async down() {
      disown(name);
      removeLab(name);
    },
  };
}
