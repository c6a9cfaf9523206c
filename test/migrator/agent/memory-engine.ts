import { createHash } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { Duplex } from 'node:stream';
import { json, text } from 'node:stream/consumers';
import { finished } from 'node:stream/promises';
import type {
  Belongings,
  CarriedBytes,
  Carrier,
  ContainerStatus,
  DumpMemory,
  Engine,
  Footprint,
  ProcessSum,
  RangeSum,
  Workspace,
} from '../../../migrator/engine/engine.ts';
import { HoldfastError } from '../../../migrator/errors.ts';

/**
 * An engine whose containers are values in this process. It has nothing of runc's: what an agent does is seen to
 * rest on the engine interface alone.
 */
export class MemoryEngine implements Engine {
  readonly name = 'memory';
  readonly states = new Map<string, ContainerStatus['state']>();
  /** What a container's memory holds; a dump writes it, a restore reads it back. */
  readonly memory = new Map<string, Buffer>();
  readonly calls: string[] = [];
  /** A test may make a call fail or wait. */
  readonly before = new Map<string, (signal: AbortSignal) => Promise<void>>();
  /** Real processes, whose memory is sent ahead. */
  pids: readonly number[] = [];
  /** Files a container owns, by its name; they go along from `ownFiles` on. */
  readonly files = new Map<string, Readonly<Record<string, string>>>();
  belongings?: Belongings;
  readonly #names: readonly string[];

  constructor(...names: string[]) {
    this.#names = names;
  }

  /** From now on this is an engine whose containers own more than their memory. */
  ownFiles(): void {
    const send = (name: string, carrier: Carrier, signal: AbortSignal) =>
      this.#sendFiles(name, carrier, signal);
    this.belongings = {
      sendAhead: async (name, _workspace, carrier, signal) => {
        await this.#call('sendAhead', signal);
        return send(name, carrier, signal);
      },
      sendRest: async (name, _workspace, carrier, signal) => {
        await this.#call('sendRest', signal);
        return send(name, carrier, signal);
      },
      getReady: async (_name, _workspace, _carrier, signal) => {
        await this.#call('getReady', signal);
        return { layerBytes: 0, fileBytes: 0 };
      },
      receive: async (name, _workspace, _what, stream, signal) => {
        await this.#call('receive', signal);
        stream.end(JSON.stringify(this.files.get(name) ?? {}));
        const came = (await json(stream)) as Record<string, string>;
        await this.#call('received', signal);
        this.files.set(name, { ...this.files.get(name), ...came });
      },
      standBy: (_name, _workspace, _memory, signal) => this.#call('standBy', signal),
      keep: (_name, signal) => this.#call('keep', signal),
      letGo: (_name, signal) => this.#call('letGo', signal),
    };
  }

  containers(): readonly string[] {
    return this.#names;
  }

  async status(name: string): Promise<ContainerStatus> {
    return { name, engine: this.name, state: this.states.get(name) ?? 'absent', port: 8080 };
  }

  async start(name: string, signal: AbortSignal): Promise<void> {
    await this.#call('start', signal);
    this.states.set(name, 'running');
  }

  async remove(name: string, signal: AbortSignal): Promise<void> {
    await this.#call('remove', signal);
    this.states.delete(name);
  }

  async discard(name: string, signal: AbortSignal): Promise<void> {
    await this.remove(name, signal);
  }

  async examine(name: string, signal: AbortSignal) {
    await this.#call('examine', signal);
    const memoryBytes = this.memory.get(name)?.length ?? 0;
    const footprint: Footprint = { engine: this.name, port: 8080, memoryBytes, processes: 1, evidence: {} };
    return { footprint, findings: [] };
  }

  async admit(_name: string, _footprint: Footprint, _imagesDir: string, signal: AbortSignal) {
    await this.#call('admit', signal);
    return [];
  }

  async prepare(_name: string, _workspace: Workspace, signal: AbortSignal): Promise<void> {
    await this.#call('prepare', signal);
  }

  async processes(): Promise<readonly number[]> {
    return this.pids;
  }

  async cgroupDir(name: string): Promise<string> {
    return `/nowhere/${name}`;
  }

  async freeze(name: string, signal: AbortSignal): Promise<void> {
    await this.#call('freeze', signal);
    this.states.set(name, 'frozen');
  }

  async thaw(name: string, signal: AbortSignal): Promise<void> {
    await this.#call('thaw', signal);
    if (!this.states.has(name)) throw new HoldfastError('CONTAINER_NOT_RUNNING', `${name} is absent here`);
    this.states.set(name, 'running');
  }

  async dump(name: string, workspace: Workspace, _memory: DumpMemory, signal: AbortSignal): Promise<void> {
    await this.#call('dump', signal);
    await mkdir(path.join(workspace.imagesDir, 'sub'));
    await writeFile(path.join(workspace.imagesDir, 'pages.img'), this.memory.get(name) ?? '');
    await writeFile(path.join(workspace.imagesDir, 'sub', 'core.img'), 'registers');
    await writeFile(path.join(workspace.imagesDir, 'empty.img'), '');
  }

  async restore(name: string, workspace: Workspace, _memory: DumpMemory, signal: AbortSignal): Promise<void> {
    await this.#call('restore', signal);
    const core = await readFile(path.join(workspace.imagesDir, 'sub', 'core.img'), 'utf8');
    await readFile(path.join(workspace.imagesDir, 'empty.img'));
    if (core !== 'registers')
      throw new HoldfastError('RESTORE_FAILED', 'the core image is not what was dumped');
    this.memory.set(name, await readFile(path.join(workspace.imagesDir, 'pages.img')));
    this.states.set(name, 'running');
  }

  async restoreFrozen(
    name: string,
    workspace: Workspace,
    memory: DumpMemory,
    signal: AbortSignal,
  ): Promise<void> {
    await this.restore(name, workspace, memory, signal);
    this.states.set(name, 'frozen');
  }

  async resume(name: string, signal: AbortSignal): Promise<void> {
    await this.#call('resume', signal);
    this.states.set(name, 'running');
  }

  async sumMemory(name: string, _workspace: Workspace, signal: AbortSignal): Promise<ProcessSum[]> {
    await this.#call('sumMemory', signal);
    const memory = this.memory.get(name) ?? Buffer.alloc(0);
    return [{ pid: 1, sizeBytes: memory.length, sum: sumOf(memory) }];
  }

  async sumRanges(
    name: string,
    _workspace: Workspace,
    _pid: number,
    signal: AbortSignal,
  ): Promise<RangeSum[]> {
    await this.#call('sumRanges', signal);
    return [{ start: '0', sum: sumOf(this.memory.get(name) ?? Buffer.alloc(0)) }];
  }

  async healthy(_name: string, signal: AbortSignal): Promise<void> {
    await this.#call('healthy', signal);
  }

  /** What the other end says that it has is not sent. */
  async #sendFiles(name: string, carrier: Carrier, signal: AbortSignal): Promise<CarriedBytes> {
    const stream: Duplex = await carrier.open('files', signal);
    const there = JSON.parse(await text(stream)) as Record<string, string>;
    const mine = Object.entries(this.files.get(name) ?? {});
    const missing = mine.filter(([file, content]) => there[file] !== content);
    const bytes = missing.length === 0 ? '' : JSON.stringify(Object.fromEntries(missing));
    stream.end(bytes === '' ? '{}' : bytes);
    await finished(stream);
    return { layerBytes: 0, fileBytes: bytes.length };
  }

  async #call(name: string, signal: AbortSignal): Promise<void> {
    this.calls.push(name);
    await this.before.get(name)?.(signal);
    signal.throwIfAborted();
  }
}

function sumOf(memory: Buffer): string {
  return createHash('sha256').update(memory).digest('hex');
}
