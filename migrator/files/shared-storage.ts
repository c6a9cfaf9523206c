import { randomBytes } from 'node:crypto';
import { open, readFile, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import { endedEarly, notShared, notUnderstood } from './errors.ts';
import { Kind, outOfTurn, parseJson, Wire } from './wire.ts';

const PREFIX = '.holdfast-probe-';
const NAME = /^\.holdfast-probe-[0-9a-f]{32}$/;

/**
 * Prove that `dir` here and the other end's are the same storage, which the other end does at the same time: each writes a
 * file of random name and content, and reads the other's. Both are removed.
 *
 * @throws HoldfastError `FILES_NOT_SHARED` at both ends, `LINK_BROKEN`, `DEADLINE`; the stream is then destroyed
 */
export async function proveShared(dir: string, stream: Duplex, signal: AbortSignal): Promise<void> {
  const wire = new Wire(stream);
  const giveUp = () => wire.destroy();
  signal.addEventListener('abort', giveUp, { once: true });
  const name = `${PREFIX}${randomBytes(16).toString('hex')}`;
  const content = randomBytes(16).toString('hex');
  try {
    if (signal.aborted) throw endedEarly(signal);
    await writeThrough(join(dir, name), content);
    await wire.sendJson(Kind.word, { name });
    const theirs = await hear(wire, 'name');
    if (!NAME.test(theirs)) throw notUnderstood('a probe of no such name');
    await wire.sendJson(Kind.word, { content: await readFile(join(dir, theirs), 'utf8').catch(() => '') });
    const seen = await hear(wire, 'content');
    // Whether ours was seen there: that theirs is seen here, they find out.
    await wire.sendJson(Kind.word, { verdict: seen === content ? 'seen' : 'unseen' });
    const verdict = await hear(wire, 'verdict');
    if (seen !== content) throw notShared(dir, 'the other host does not see what this one writes');
    if (verdict !== 'seen') throw notShared(dir, 'this host does not see what the other one writes');
    wire.end();
  } catch (error) {
    if ((error as { code?: unknown }).code !== 'FILES_NOT_SHARED') wire.destroy();
    else wire.end();
    throw signal.aborted ? endedEarly(signal) : error;
  } finally {
    signal.removeEventListener('abort', giveUp);
    await unlink(join(dir, name)).catch(() => {});
  }
}

async function hear(wire: Wire, key: string): Promise<string> {
  const { kind, payload } = await wire.next();
  if (kind !== Kind.word) throw outOfTurn(kind);
  const value = (parseJson(payload) as Record<string, unknown>)[key];
  if (typeof value !== 'string') throw notUnderstood(`no ${key} where it was due`);
  return value;
}

/** On the storage itself before this settles: the other host sees what is closed, not what is cached here. */
async function writeThrough(file: string, content: string): Promise<void> {
  const handle = await open(file, 'wx', 0o600);
  try {
    await handle.writeFile(content);
    await handle.sync();
  } finally {
    await handle.close();
  }
}
