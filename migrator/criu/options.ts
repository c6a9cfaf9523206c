/**
 * What is asked of CRIU besides what the runtime asks, in the words of its configuration file. See docs/criu.md.
 *
 * - `network-lock skip`: no packet filter rules. Nothing reaches the app during the freeze, because the gate is closed,
 *   and rules that a killed CRIU leaves behind would cut the host off.
 * - `tcp-close`: an established connection neither fails the dump nor travels; the app finds it closed. The gate has
 *   closed its own; what else there is, preflight has refused or the operator has allowed.
 * - `skip-in-flight`: a connection that nobody has accepted yet does not fail the dump.
 * - `file-locks`: locks on files (SQLite) travel. The container is dumped whole, so their owners are in it.
 * - `ghost-limit`: files that were deleted while open travel, up to this size each (CRIU's own limit is 1 MiB).
 */
export const CRIU_OPTIONS = [
  'network-lock skip',
  'tcp-close',
  'skip-in-flight',
  'file-locks',
  'ghost-limit 256M',
];

/** For a container that has TCP connections to itself, which travel. See `oci/inner-connections.ts`. */
export const CRIU_OPTIONS_CONNECTED = CRIU_OPTIONS.map((option) =>
  option === 'tcp-close' ? 'tcp-established' : option,
);
