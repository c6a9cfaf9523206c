import { type SpawnOptions, spawn } from 'node:child_process';
import { HoldfastError } from './errors.ts';

export interface RunResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  readonly signal: AbortSignal;
  readonly cwd?: string;
  readonly env?: NodeJS.ProcessEnv;
  readonly input?: string;
  /** Exit codes that are answers rather than failures; 0 when not given. */
  readonly okCodes?: readonly number[];
}

const OUTPUT_LIMIT_BYTES = 1 << 20;

/**
 * Run a program to its end, in a process group of its own, and keep what it printed (the first MiB of each stream).
 * When `signal` fires, the whole group is killed, and the program is reaped before this settles.
 *
 * @throws HoldfastError `PROGRAM_MISSING`, `PROGRAM_FAILED` (with the last lines of stderr), `DEADLINE`
 */
export async function run(command: string, args: readonly string[], options: RunOptions): Promise<RunResult> {
  const { signal, input, okCodes = [0] } = options;
  if (signal.aborted) throw aborted(command, signal);
  const spawnOptions: SpawnOptions = { stdio: ['pipe', 'pipe', 'pipe'], detached: true };
  if (options.cwd !== undefined) spawnOptions.cwd = options.cwd;
  if (options.env !== undefined) spawnOptions.env = options.env;
  const child = spawn(command, args, spawnOptions);
  const killGroup = () => {
    if (child.pid === undefined) return;
    try {
      process.kill(-child.pid, 'SIGKILL');
    } catch {
      // The group has ended in the meantime.
    }
  };
  signal.addEventListener('abort', killGroup, { once: true });
  const stdout = collect(child.stdout);
  const stderr = collect(child.stderr);
  try {
    child.stdin?.on('error', () => {}); // A program may end without reading its input.
    child.stdin?.end(input ?? '');
    const code = await new Promise<number>((resolve, reject) => {
      child.once('error', reject);
      child.once('close', (exitCode, signalName) => resolve(exitCode ?? (signalName === null ? -1 : 128)));
    });
    if (signal.aborted) throw aborted(command, signal);
    const result = { code, stdout: stdout(), stderr: stderr() };
    if (!okCodes.includes(code)) throw failed(command, args, result);
    return result;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') {
      throw new HoldfastError('PROGRAM_MISSING', `${command} is not installed`, {
        mend: `install ${command} and try again`,
        cause: error,
      });
    }
    throw error;
  } finally {
    signal.removeEventListener('abort', killGroup);
  }
}

function collect(stream: NodeJS.ReadableStream | null): () => string {
  const chunks: Buffer[] = [];
  let sizeBytes = 0;
  stream?.on('data', (chunk: Buffer) => {
    if (sizeBytes < OUTPUT_LIMIT_BYTES) chunks.push(chunk);
    sizeBytes += chunk.length;
  });
  return () => Buffer.concat(chunks).toString('utf8');
}

function aborted(command: string, signal: AbortSignal): HoldfastError {
  return new HoldfastError('DEADLINE', `${command} was ended before it was done`, {
    retryable: true,
    cause: signal.reason,
  });
}

function failed(command: string, args: readonly string[], result: RunResult): HoldfastError {
  const said = (result.stderr.trim() || result.stdout.trim()).split('\n').slice(-5).join('\n');
  return new HoldfastError(
    'PROGRAM_FAILED',
    `${command} ${args[0] ?? ''} ended with ${result.code}: ${said}`,
  );
}
