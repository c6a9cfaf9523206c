import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

export interface LocalApp extends AsyncDisposable {
  readonly url: string;
  readonly process: ChildProcess;
}

/** The app as a plain process on a free port of loopback. Settles when it listens. */
export async function startLocalApp(env: Record<string, string> = {}): Promise<LocalApp> {
  const program = fileURLToPath(new URL('app/server.mjs', import.meta.url));
  const child = spawn(process.execPath, [program], {
    env: { PATH: process.env.PATH, HOST: '127.0.0.1', PORT: '0', ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [said] = (await once(child.stdout, 'data', { signal: AbortSignal.timeout(20_000) })) as [Buffer];
  const port = /listening on (\d+)/.exec(said.toString())?.[1];
  return {
    url: `http://127.0.0.1:${port}`,
    process: child,
    async [Symbol.asyncDispose]() {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const ended = once(child, 'exit');
      child.kill('SIGKILL');
      await ended;
    },
  };
}
