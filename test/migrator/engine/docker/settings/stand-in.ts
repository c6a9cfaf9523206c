import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type IncomingMessage } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Docker from 'dockerode';

type Json = Record<string, unknown>;

/** What a Docker Engine has, by the names it is asked for by. */
export interface Holdings {
  containers: Record<string, Json>;
  images: Record<string, Json>;
  networks: Record<string, Json>;
  volumes: Record<string, Json>;
  execs: Record<string, Json>;
  info: Json;
  /** What it takes without an error and does not do. */
  drops: string[];
  /** Ends of paths to which it does not answer. */
  hangs: string[];
  /** What somebody has done to its containers. */
  events: Json[];
}

/** Answers like a Docker Engine whose containers never run: for what is asked of it, and for what it must not be told. */
export class StandIn {
  readonly socketPath: string;
  readonly docker: Docker;
  readonly holdings: Holdings;
  /** Every URL it was asked by: engines log them. */
  readonly urls: string[] = [];
  /** Bodies of what was to be made. */
  readonly made: { path: string; body: Json }[] = [];
  readonly close: () => Promise<void>;

  private constructor(socketPath: string, holdings: Holdings, close: () => Promise<void>) {
    this.socketPath = socketPath;
    this.docker = new Docker({ socketPath });
    this.holdings = holdings;
    this.close = close;
  }

  static async open(holdings: Partial<Holdings>): Promise<StandIn> {
    const dir = await mkdtemp(join(tmpdir(), 'stand-in-'));
    const server = createServer((request, response) => {
      bodyOf(request)
        .then((body) => standIn.#answer(request.method ?? '', request.url ?? '', body))
        .catch((error: Error) => [500, { message: error.message }] as const)
        .then(([status, answer]) => {
          const [path = ''] = (request.url ?? '').split('?');
          if (standIn.holdings.hangs.some((end) => path.endsWith(end))) return;
          response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(answer));
        });
    });
    const socketPath = join(dir, 'docker.sock');
    const standIn = new StandIn(
      socketPath,
      {
        containers: {},
        images: {},
        networks: {},
        volumes: {},
        execs: {},
        info: {},
        drops: [],
        hangs: [],
        events: [],
        ...holdings,
      },
      async () => {
        server.closeAllConnections();
        server.close();
        await once(server, 'close');
        await rm(dir, { recursive: true, force: true });
      },
    );
    server.listen(socketPath);
    await once(server, 'listening');
    return standIn;
  }

  #answer(method: string, url: string, body: Json): readonly [number, unknown] {
    this.urls.push(url);
    const [path = '', query = ''] = url.split('?');
    const [, kind = '', name = '', action = ''] = path.split('/').map(decodeURIComponent);
    const { containers, networks, volumes, images, execs, info } = this.holdings;
    if (method === 'GET') {
      if (path === '/info') return [200, info];
      if (path === '/networks') return [200, Object.values(networks)];
      if (path === '/events') return [200, this.holdings.events[0]];
      if (path === '/containers/json') return [200, this.#listed(new URLSearchParams(query))];
      const found = { containers, networks, volumes, images, exec: execs }[kind]?.[name];
      return found === undefined ? [404, { message: `no such ${kind}` }] : [200, found];
    }
    if (method === 'DELETE') {
      delete containers[name];
      return [204, undefined];
    }
    this.made.push({ path, body });
    if (action === 'update') return [200, {}];
    if (action === 'start') return [204, undefined];
    if (path === '/volumes/create') {
      volumes[String(body.Name)] = {
        ...body,
        Options: body.DriverOpts,
        CreatedAt: 'just now',
        Mountpoint: '/nowhere',
      };
      return [201, volumes[String(body.Name)]];
    }
    if (path === '/networks/create') {
      const subnets = (body.IPAM as { Config: { Subnet: string }[] }).Config.map(({ Subnet }) => Subnet);
      const isTaken = Object.values(networks).some(({ IPAM }) =>
        (IPAM as { Config: { Subnet: string }[] }).Config.some(({ Subnet }) => subnets.includes(Subnet)),
      );
      if (isTaken)
        return [403, { message: 'invalid pool request: Pool overlaps with other one on this address space' }];
      networks[String(body.Name)] = body;
      return [201, { Id: 'network' }];
    }
    return this.#make(new URLSearchParams(query).get('name') ?? '', body);
  }

  #make(name: string, { HostConfig, NetworkingConfig, ...Config }: Json): readonly [number, unknown] {
    const kept = (fields: Json) =>
      Object.fromEntries(Object.entries(fields).filter(([field]) => !this.holdings.drops.includes(field)));
    const { EndpointsConfig } = NetworkingConfig as { EndpointsConfig: Json };
    const Entrypoint = String(Config.Entrypoint) === '' ? null : Config.Entrypoint;
    this.holdings.containers[name] = this.holdings.containers.made = {
      Name: `/${name}`,
      State: { Status: 'created' },
      Config: kept({ ...Config, Entrypoint }),
      HostConfig: kept(HostConfig as Json),
      NetworkSettings: { Networks: EndpointsConfig },
    };
    return [201, { Id: 'made' }];
  }

  #listed(query: URLSearchParams): unknown[] {
    const { volume, status } = JSON.parse(query.get('filters') ?? '{}') as Record<string, string[]>;
    return Object.values(this.holdings.containers)
      .filter(({ Listed }) => Listed !== undefined)
      .map(({ Listed }) => Listed as { State: string; Mounts?: { Name: string }[] })
      .filter(({ State }) => status?.includes(State) ?? true)
      .filter(({ Mounts = [] }) => volume === undefined || Mounts.some(({ Name }) => volume.includes(Name)));
  }
}

async function bodyOf(request: IncomingMessage): Promise<Json> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  const text = Buffer.concat(chunks).toString();
  return text === '' ? {} : (JSON.parse(text) as Json);
}
