/** A program for removal.test.ts: makes the lab named, says so, and then waits for its end, or throws. */
import { createLab } from './lab.ts';

const [name = '', end] = process.argv.slice(2);
await createLab({ name, hosts: ['a'], link: { delayMs: 1 } });
process.stdout.write('up\n');
if (end === 'throw') {
  setImmediate(() => {
    throw new Error('nobody catches this');
  });
} else {
  setInterval(() => {}, 60_000);
}
