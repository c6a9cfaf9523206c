import t from 'tap';
import { Step, Strategy } from '../../migrator/events.ts';
import { parseLink } from '../lab/lab.ts';
import { whyNoLab } from '../lab/needs-lab.ts';
import { APP } from '../system/configs.ts';
import { nowMs } from '../workload/exchange.ts';
import { startLocalApp } from '../workload/local-app.ts';
import { begins, Scene } from './scene.ts';

const skip = await whyNoLab();
const READ_EVERY_MS = 10;

interface Read {
  readonly fromMs: number;
  readonly atMs: number;
  readonly status: number;
  readonly fromReplica: boolean;
}

t.test('with a replica reads go on while writes wait', { skip, timeout: 170_000 }, async (t) => {
  const replica = await startLocalApp();
  // Writes only: what the replica answers is not in the app's own chain.
  const scene = await Scene.open({
    app: { memoryMib: 16 },
    gateway: ({ apps: { [APP]: app } }) => Object.assign(app ?? {}, { replica: replica.url }),
    postShare: 1,
  });
  const reading = new AbortController();
  try {
    await scene.lab.setLink(parseLink('60mbit'), scene.there); // For a hold of about two seconds.
    const reads: Read[] = [];
    const reader = readOn(scene.system.url, reads, reading.signal);
    const held = { fromMs: 0, toMs: 0 };
    const fromMs = nowMs();
    const ended = await scene.move(
      (event) => {
        if (begins(event, Step.freeze)) held.fromMs = nowMs();
        // What is read before one hears of the release may be the app's answer already.
        if (begins(event, Step.release)) held.toMs = nowMs() - (Date.now() - Date.parse(event.at));
      },
      { strategy: Strategy.stopAndCopy },
    );
    await scene.load.flowing(20_000);
    const window = { fromMs, toMs: nowMs() };
    reading.abort();
    await reader;
    t.equal(ended.outcome, 'succeeded', ended.error?.message ?? 'as ordered');

    t.same(
      reads.filter(({ status }) => status !== 200),
      [],
      `${reads.length} reads were answered`,
    );
    const during = reads.filter((read) => read.fromMs > held.fromMs && read.atMs < held.toMs);
    t.ok(during.length > 20, `${during.length} of them during the hold`);
    t.ok(
      during.every(({ fromReplica }) => fromReplica),
      'those by the replica, and they say so',
    );
    t.notOk(reads[0]?.fromReplica, 'before the hold by the app');
    t.notOk(reads.at(-1)?.fromReplica, 'and after it by the app again');
    const gapMs = longestGap(reads);
    t.ok(gapMs < (held.toMs - held.fromMs) / 2, `no gap among the reads: ${Math.round(gapMs)} ms at most`);

    const { total, windows, faults } = await scene.finish([window, held]);
    t.ok((windows[0]?.blackoutMs ?? 0) > (held.toMs - held.fromMs) * 0.9, 'writes waited');
    t.match(
      total,
      { failed: 0, lost: 0, duplicated: 0, corrupted: 0, chain: 'unbroken' },
      faults.join('\n') || 'every write is there',
    );
    t.same(await scene.lasting(), [], 'nothing is left over');
  } finally {
    reading.abort();
    if (!t.passing()) t.comment(scene.system.logs(40));
    await scene.close();
    await replica[Symbol.asyncDispose]();
  }
});

async function readOn(url: string, reads: Read[], signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    const fromMs = nowMs();
    const response = await fetch(`${url}/page`, { signal: AbortSignal.timeout(10_000) });
    await response.arrayBuffer();
    reads.push({
      fromMs,
      atMs: nowMs(),
      status: response.status,
      fromReplica: response.headers.get('holdfast-answered-by') === 'replica',
    });
    await new Promise((resolve) => setTimeout(resolve, READ_EVERY_MS));
  }
}

function longestGap(reads: readonly Read[]): number {
  return reads.reduce((longest, { atMs }, n) => Math.max(longest, atMs - (reads[n - 1]?.atMs ?? atMs)), 0);
}
