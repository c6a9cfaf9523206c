import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { run } from '../process.ts';
import { errorLines } from './errors.ts';

const IMAGE = 'cpuinfo.img';

/**
 * This host's CPU features as CRIU writes them, base64.
 * Undefined where CRIU has no such image (it has none on arm64): there is then nothing to compare.
 */
export async function dumpCpuImage(signal: AbortSignal): Promise<string | undefined> {
  return inScratch(async (dir) => {
    await run('criu', ['cpuinfo', 'dump', '-D', dir, '-o', 'log'], { signal, okCodes: [0, 1] });
    try {
      return (await readFile(join(dir, IMAGE))).toString('base64');
    } catch {
      return undefined;
    }
  });
}

/**
 * Whether what ran on the CPU of `image` can run on here. CRIU compares the instructions (the destination may have
 * more, never fewer) and the layout of the saved FPU state (it must be the same). Undefined when it can; else what lacks.
 */
export async function cpuFault(image: string, signal: AbortSignal): Promise<string | undefined> {
  return inScratch(async (dir) => {
    await writeFile(join(dir, IMAGE), Buffer.from(image, 'base64'));
    const { code } = await run('criu', ['cpuinfo', 'check', '-D', dir, '-o', 'log'], {
      signal,
      okCodes: [0, 1, 255],
    });
    if (code === 0) return undefined;
    const said = errorLines(await readFile(join(dir, 'log'), 'utf8').catch(() => ''));
    return said.join('; ') || 'criu cpuinfo check failed';
  });
}

async function inScratch<T>(use: (dir: string) => Promise<T>): Promise<T> {
  const dir = await mkdtemp(join(tmpdir(), 'holdfast-cpu-'));
  try {
    return await use(dir);
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}
