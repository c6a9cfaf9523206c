/**
 * How long the agent itself works on each call. The gateway's own deadlines are usually shorter; these end what
 * nobody waits for any more.
 */
export const Deadlines = {
  statusMs: 5_000,
  /** Less than the gateway waits for a host, so that one engine that hangs does not make all of it silent. */
  listMs: 2_000,
  startMs: 60_000,
  removeMs: 20_000,
  examineMs: 15_000,
  measureMs: 15_000,
  admitMs: 15_000,
  prepareMs: 30_000,
  connectMs: 5_000,
  preCopyMs: 600_000,
  /** Of an image and files, over whatever link. */
  bringMs: 3_600_000,
  standByMs: 60_000,
  letGoMs: 20_000,
  settleMs: 60_000,
  freezeMs: 10_000,
  dumpMs: 120_000,
  sendMs: 300_000,
  restoreMs: 120_000,
  /** While the instance stands still. */
  pageInFrozenMs: 300_000,
  sumMs: 120_000,
  healthMs: 30_000,
  /** Less than the gateway waits, so that it hears what the app answered last. */
  healthyMs: 8_000,
  /** Of one call; who asks for it asks again. */
  pageInMs: 120_000,
  undoMs: 60_000,
} as const;
