import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import path from 'node:path';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import Docker from 'dockerode';
import type { Test } from 'tap';
import { archiveOf, filesOf } from '../../../../../migrator/engine/docker/image/tar.ts';

export interface MadeUpImage {
  readonly id: string;
  readonly layers: readonly string[];
}

export function digestOf(bytes: Buffer): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
}

let engines = 0;

/**
 * What dockerd does with images, behind the API it has: layers are kept together with what is below them, a load opens
 * the file of a layer only when it lacks it, and takes none whose content is another one than was said.
 */
export class MadeUpEngine {
  readonly docker: Docker;
  /** Layers by their chain: the diff ids up to theirs. */
  readonly #layers = new Map<string, Buffer>();
  readonly #images = new Map<string, { config: Buffer; layers: string[] }>();
  readonly names = new Map<string, string>();
  /** What was asked of it: `GET /images/…/get`, … */
  readonly asked: string[] = [];
  /** What a saved blob is made, if anything else than it is. */
  spoil: (blob: Buffer) => Buffer = (blob) => blob;
  /** Called when a load has come, before anything is done with it. Returns an error for it to fail with. */
  onLoad: () => string | undefined = () => undefined;
  driverStatus: [string, string][] = [['Backing Filesystem', 'extfs']];

  private constructor(socketPath: string) {
    this.docker = new Docker({ socketPath });
  }

  static async start(t: Test): Promise<MadeUpEngine> {
    const socketPath = path.join('/tmp', `holdfast-made-up-${process.pid}-${engines++}.sock`);
    const engine = new MadeUpEngine(socketPath);
    const server = createServer((request, response) => {
      engine.#answer(request, response).catch((error) => response.destroy(error));
    });
    await new Promise<void>((resolve) => server.listen(socketPath, resolve));
    t.teardown(() => {
      server.closeAllConnections();
      server.close();
    });
    return engine;
  }

  /** Make an image there, as a build does. */
  build(layers: readonly Buffer[], ...names: string[]): MadeUpImage {
    const diffIds = layers.map(digestOf);
    const config = Buffer.from(JSON.stringify({ rootfs: { type: 'layers', diff_ids: diffIds } }));
    layers.forEach((layer, at) => {
      this.#layers.set(diffIds.slice(0, at + 1).join(), layer);
    });
    return this.#add(config, diffIds, names);
  }

  has(image: MadeUpImage): boolean {
    return this.#images.has(image.id);
  }

  /** Delete an image, and the layers that no other has. */
  delete(image: MadeUpImage): void {
    this.#images.delete(image.id);
    for (const [name, id] of this.names) if (id === image.id) this.names.delete(name);
    for (const chain of this.#layers.keys()) {
      const used = [...this.#images.values()].some(({ layers }) =>
        `${layers.join()},`.startsWith(`${chain},`),
      );
      if (!used) this.#layers.delete(chain);
    }
  }

  #add(config: Buffer, layers: string[], names: readonly string[]): MadeUpImage {
    const id = digestOf(config);
    this.#images.set(id, { config, layers });
    for (const name of names) this.names.set(name, id);
    return { id, layers };
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '', 'http://docker');
    const route = `${request.method} ${decodeURIComponent(url.pathname)}`;
    this.asked.push(route);
    const say = (statusCode: number, body?: unknown) => {
      response.writeHead(statusCode, { 'content-type': 'application/json' });
      response.end(body === undefined ? '' : JSON.stringify(body));
    };
    if (route === 'GET /info') return say(200, { DriverStatus: this.driverStatus });
    if (route === 'GET /images/json')
      return say(
        200,
        [...this.#images.keys()].map((Id) => ({ Id })),
      );
    if (route === 'POST /images/load') {
      const error = this.onLoad() ?? (await this.#load(request));
      return say(
        200,
        error === undefined ? { stream: 'Loaded' } : { errorDetail: { message: error }, error },
      );
    }
    const [, reference = '', what] = /^\w+ \/images\/(.+)\/(json|get|tag)$/.exec(route) ?? [];
    const id = this.names.get(reference) ?? reference;
    const image = this.#images.get(id);
    if (!image) return say(404, { message: `No such image: ${reference}` });
    if (what === 'get') return void this.#save(id, image).pipe(response);
    if (what === 'tag') {
      this.names.set(`${url.searchParams.get('repo')}:${url.searchParams.get('tag')}`, id);
      return say(201);
    }
    const names = [...this.names].filter(([, owner]) => owner === id).map(([name]) => name);
    say(200, { Id: id, RepoTags: names, RootFS: { Type: 'layers', Layers: image.layers } });
  }

  #save(id: string, { config, layers }: { config: Buffer; layers: string[] }): Readable {
    const blobs = new Map([[id, config]]);
    layers.forEach((layer, at) => {
      blobs.set(layer, this.#layers.get(layers.slice(0, at + 1).join()) ?? Buffer.alloc(0));
    });
    return packed([
      ...[...blobs]
        .sort(([one], [other]) => (one < other ? -1 : 1))
        .map(([digest, blob]) => [blobPath(digest), this.spoil(blob)] as const),
      ['manifest.json', Buffer.from('[]')],
    ]);
  }

  /** Returns what it failed with. */
  async #load(archive: Readable): Promise<string | undefined> {
    const files = new Map<string, Buffer>();
    for await (const { name, content } of filesOf(archive)) {
      files.set(name, await buffer(content));
    }
    const [manifest] = JSON.parse(String(files.get('manifest.json')));
    const config = files.get(manifest.Config) ?? Buffer.alloc(0);
    const layers: string[] = JSON.parse(String(config)).rootfs.diff_ids;
    for (const [at, diffId] of layers.entries()) {
      const chain = layers.slice(0, at + 1).join();
      if (this.#layers.has(chain)) continue;
      const file = files.get(manifest.Layers[at]);
      if (!file) return `open /var/lib/docker/tmp/x/${manifest.Layers[at]}: no such file or directory`;
      if (digestOf(file) !== diffId) return `invalid diffID for layer ${at}`;
      this.#layers.set(chain, file);
    }
    this.#add(config, layers, []);
    return undefined;
  }
}

export function blobPath(digest: string): string {
  return `blobs/${digest.replace(':', '/')}`;
}

export function packed(files: readonly (readonly [name: string, content: Buffer])[]): Readable {
  const plain = files.map(([name, content]) => ({ name, sizeBytes: content.length, content: [content] }));
  return Readable.from(archiveOf(plain), { objectMode: false });
}
