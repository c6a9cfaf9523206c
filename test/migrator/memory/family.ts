import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import type { Test } from 'tap';

/**
 * Does as it is told, a line at a time. Memory is named; each of its pages is told by its seed and number. Large pieces are
 * areas of their own: what is dropped is unmapped at once, and what comes next may lie in the same place.
 */
const PROGRAM = `
  $| = 1;
  my %memory;
  sub fill {
    my ($name, $pages, $seed) = @_;
    my $all = '';
    for my $page (1 .. $pages) { $all .= substr("seed $seed page $page. " x 300, 0, 4096) }
    $memory{$name} = $all;
  }
  while (my $line = <STDIN>) {
    my ($order, @with) = split ' ', $line;
    if ($order eq 'fill') { fill(@with) }
    if ($order eq 'poke') { substr($memory{$with[0]}, $with[1] * 4096, 5) = 'poked' }
    if ($order eq 'drop') { undef $memory{$with[0]}; delete $memory{$with[0]} }
    if ($order eq 'fork') {
      my $child = fork();
      if ($child == 0) { fill('own', @with); print "$$\\n"; sleep 1 while 1 }
      next;
    }
    print "$$\\n";
  }
`;

export interface Family {
  /** Of all processes, the parent first. */
  readonly pids: number[];
  fill(name: string, pages: number, seed: number): Promise<void>;
  /** Change some bytes of one page. */
  poke(name: string, page: number): Promise<void>;
  drop(name: string): Promise<void>;
  /** A child with all that the parent has, and pages of its own. */
  fork(pages: number, seed: number): Promise<number>;
  end(pid: number): Promise<void>;
  /** Stop every process where it is. */
  freeze(): Promise<void>;
  /** Let them run on. */
  thaw(): void;
}

/** A process that can be told to fork, map and unmap; all of its kind are gone when the test ends. */
export async function startFamily(t: Test): Promise<Family> {
  const parent = spawn('perl', ['-e', PROGRAM], {
    stdio: ['pipe', 'pipe', 'inherit'],
    env: { MALLOC_MMAP_THRESHOLD_: '65536' },
  });
  const lines = createInterface({ input: parent.stdout });
  const pids = [parent.pid ?? 0];
  t.teardown(() => {
    for (const pid of pids) process.kill(pid, 'SIGKILL');
  });
  const order = async (...words: (string | number)[]): Promise<number> => {
    const answered = once(lines, 'line');
    parent.stdin.write(`${words.join(' ')}\n`);
    return Number((await answered)[0]);
  };
  const until = async (pid: number, states: string) => {
    while (!states.includes(stateOf(pid))) await new Promise(setImmediate);
  };
  return {
    pids,
    fill: async (name, pages, seed) => void (await order('fill', name, pages, seed)),
    poke: async (name, page) => void (await order('poke', name, page)),
    drop: async (name) => void (await order('drop', name)),
    async fork(pages, seed) {
      const pid = await order('fork', pages, seed);
      pids.push(pid);
      return pid;
    },
    async end(pid) {
      pids.splice(pids.indexOf(pid), 1);
      process.kill(pid, 'SIGKILL');
      await until(pid, 'ZX');
    },
    async freeze() {
      for (const pid of pids) process.kill(pid, 'SIGSTOP');
      for (const pid of pids) await until(pid, 'T');
    },
    thaw() {
      for (const pid of pids) process.kill(pid, 'SIGCONT');
    },
  };
}

/** See proc_pid_stat(5); X for a process that is no more. */
function stateOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/stat`, 'utf8')
      .replace(/^.*\) /s, '')
      .charAt(0);
  } catch {
    return 'X';
  }
}
