/** Eight threads, each with memory of its own that it checks and writes, besides some they share. GET / as of keeper.pl. */
import { createServer } from 'node:http';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';

const THREADS = 8;
const PAGES = 128;
const WORDS = 4096 / 8;

if (isMainThread) {
  const told = { kind: 'threads', cycles: 0, childCycles: 0, damage: [] };
  const shared = new SharedArrayBuffer(THREADS * 8);
  const cycles = new Array(THREADS).fill(0);
  for (let index = 0; index < THREADS; index += 1) {
    const worker = new Worker(new URL(import.meta.url), { workerData: { index, shared } });
    worker.on('message', ({ damage }) => {
      cycles[index] += 1;
      told.childCycles += 1;
      // As slow as the slowest.
      told.cycles = Math.min(...cycles);
      if (damage !== undefined && told.damage.length < 20) told.damage.push(damage);
    });
  }
  createServer((_request, response) => {
    response.writeHead(200, { 'content-type': 'application/json', connection: 'close' });
    response.end(JSON.stringify(told));
  }).listen(Number(process.env.PORT));
} else {
  const { index, shared } = workerData;
  const counters = new BigUint64Array(shared);
  const own = new BigUint64Array(PAGES * WORDS);
  const last = new Array(PAGES).fill(0n);
  const write = (page) => {
    last[page] += 1n;
    own.fill((BigInt(index) << 56n) | (BigInt(page) << 32n) | last[page], page * WORDS, (page + 1) * WORDS);
  };
  const check = () => {
    for (let page = 0; page < PAGES; page += 1) {
      const must = (BigInt(index) << 56n) | (BigInt(page) << 32n) | last[page];
      for (let word = page * WORDS; word < (page + 1) * WORDS; word += 1) {
        if (own[word] !== must) return `thread ${index}, page ${page}: ${own[word]} and not ${must}`;
      }
    }
    return undefined;
  };
  for (let page = 0; page < PAGES; page += 1) write(page);
  let counted = 0n;
  const cycle = () => {
    let damage = check();
    if (Atomics.add(counters, index, 1n) !== counted) damage ??= `thread ${index}: its counter was changed`;
    counted += 1n;
    for (let page = 0; page < PAGES; page += 8) write(page);
    parentPort.postMessage({ damage });
    setTimeout(cycle, 20);
  };
  cycle();
}
