import { spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Test } from 'tap';

/** Fills memory with pages of its own on each line it reads, and goes on writing to one of them all the time. */
const PROGRAM = `
  const pages = Number(process.argv[1]);
  const memory = Buffer.alloc((pages + 1) * 4096);
  const start = -memory.byteOffset & 4095;
  let times = 0;
  const fill = () => {
    for (let page = 0; page < pages; page++) memory.fill('page ' + page + ' of fill ' + times + '. ', page * 4096, (page + 1) * 4096);
    times++;
    process.stdout.write('filled\\n');
  };
  setInterval(() => memory.writeUInt32LE(Math.random() * 2 ** 32, pages * 4096), 1);
  process.stdin.on('data', fill);
  fill();
`;

export interface TestApp {
  readonly pid: number;
  /** Write all its pages anew. */
  refill(): Promise<void>;
  end(): Promise<void>;
}

/** A process with known bytes in its memory, that runs on while it is looked at; gone when the test ends. */
export async function startApp(t: Test, pages: number): Promise<TestApp> {
  const child = spawn(process.execPath, ['-e', PROGRAM, String(pages)], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const ended = once(child, 'exit');
  const end = async () => {
    child.kill('SIGKILL');
    await ended;
  };
  t.teardown(end);
  await once(child.stdout, 'data');
  return {
    pid: child.pid ?? 0,
    async refill() {
      const filled = once(child.stdout, 'data');
      child.stdin.write('again\n');
      await filled;
    },
    end,
  };
}

/** What stands in one of its pages, as often as it fits. */
export function textOf(page: number, fill = 0): string {
  return `page ${page} of fill ${fill}. `;
}
