/** Requests at a fixed rate, whatever the answers do: `node load.js RATE CONNECTIONS URL…`. Tells on demand what came of them. */
import { Pool } from 'undici';
import { nowMs } from '../../test/workload/exchange.ts';
import { pace } from '../../test/workload/pace.ts';

export interface LoadCounts {
  readonly due: number;
  readonly answered: number;
  readonly failed: number;
  /** From the time a request was due. */
  readonly longestMs: number;
  /** The first failures, in words. */
  readonly reasons: readonly string[];
}

const TIMEOUT_MS = 10_000;
const MOST_REASONS = 10;

const [rate, connections, ...urls] = process.argv.slice(2);
const timeouts = { headersTimeout: TIMEOUT_MS, bodyTimeout: TIMEOUT_MS, connectTimeout: TIMEOUT_MS };
const pools = urls.map(
  (url) => new Pool(url, { connections: Number(connections), pipelining: 1, ...timeouts }),
);
const stopping = new AbortController();
const counts = { due: 0, answered: 0, failed: 0, longestMs: 0, reasons: [] as string[] };
const pending = new Set<Promise<void>>();

async function visit(n: number, dueMs: number): Promise<void> {
  try {
    const { statusCode, body } = await (pools[n % pools.length] as Pool).request({
      path: '/',
      method: 'GET',
    });
    await body.dump();
    if (statusCode !== 200) throw new Error(`status ${statusCode}`);
    counts.answered += 1;
  } catch (error) {
    counts.failed += 1;
    if (counts.reasons.length < MOST_REASONS) counts.reasons.push(String(error));
  }
  counts.longestMs = Math.max(counts.longestMs, nowMs() - dueMs);
}

const pacing = pace(
  Number(rate),
  (n, dueMs) => {
    counts.due += 1;
    const done = visit(n, dueMs).finally(() => pending.delete(done));
    pending.add(done);
  },
  stopping.signal,
);

process.on('message', async () => {
  stopping.abort();
  await pacing;
  await Promise.all(pending);
  await Promise.all(pools.map((pool) => pool.destroy()));
  process.send?.(counts satisfies LoadCounts);
});
process.on('disconnect', () => process.exit(0));
process.on('SIGINT', () => {});
