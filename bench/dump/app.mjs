// A pre-forking server as far as a dump is concerned: processes with memory of their own, and one that answers.
import { spawn } from 'node:child_process';
import { randomFillSync } from 'node:crypto';
import { createServer } from 'node:http';
import { fileURLToPath } from 'node:url';

const [processes, mib] = [Number(process.env.PROCESSES), Number(process.env.MEMORY_MIB)];
globalThis.memory = randomFillSync(Buffer.allocUnsafeSlow(mib << 20));
if (process.argv[2] === 'worker') {
  // Its parent waits until it has its memory.
  process.kill(process.ppid, 'SIGUSR2');
  setInterval(() => {}, 60_000);
} else {
  let ready = 0;
  const answer = () => createServer((_, response) => response.end('ready')).listen(Number(process.env.PORT));
  process.on('SIGUSR2', () => {
    ready += 1;
    next();
  });
  // One after the other: signals of one kind do not queue.
  const next = () => {
    if (ready === processes - 1) answer();
    else spawn(process.execPath, [fileURLToPath(import.meta.url), 'worker'], { stdio: 'ignore' });
  };
  next();
}
