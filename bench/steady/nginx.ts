import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { Supervised } from '../../test/lab/supervised.ts';
import { APP_ADDRESS, answers, startPinned } from './place.ts';

const BODY_BYTES = 1_024;

/** The app: as little work as can be, so that the proxy is what is measured. */
export const APP_CONFIG = server(
  APP_ADDRESS,
  `default_type text/plain;
    location / { return 200 "${'x'.repeat(BODY_BYTES)}"; }`,
);

/** nginx as a proxy that does what HAProxy does here. */
export const proxyConfig = (
  users: string,
): string => `upstream app { server ${APP_ADDRESS}; keepalive 256; keepalive_requests 1000000000; }
  ${server(
    users,
    `location / {
      proxy_pass http://app;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Host $http_host;
      proxy_set_header X-Forwarded-For $remote_addr;
      proxy_set_header X-Forwarded-Proto $scheme;
      proxy_set_header X-Forwarded-Host $http_host;
    }`,
  )}`;

function server(listen: string, body: string): string {
  return `server {
    listen ${listen};
    # Otherwise a connection is closed after 1,000 requests, or while its proxy awaits its turn.
    keepalive_requests 1000000000;
    keepalive_timeout 1h;
    ${body}
  }`;
}

/** One process of nginx on one core. Whoever starts it must `stop` it. */
export async function startNginx(options: {
  readonly name: string;
  readonly dir: string;
  readonly config: string;
  readonly core: number;
  readonly url: string;
}): Promise<Supervised> {
  const { name, dir, config, core, url } = options;
  const file = path.join(dir, `${name}.conf`);
  await writeFile(file, whole(path.join(dir, `${name}.pid`), config));
  const nginx = new Supervised({
    name,
    logFile: path.join(dir, `${name}.log`),
    spawn: (output) => startPinned(core, ['nginx', '-p', dir, '-e', 'stderr', '-c', file], output),
    ready: (signal) => answers(url, signal),
  });
  await nginx.start({ supervise: false });
  return nginx;
}

function whole(pidFile: string, config: string): string {
  return `daemon off;
master_process off;
pid ${pidFile};
error_log stderr;
events { worker_connections 4096; }
http {
  access_log off;
  ${config}
}
`;
}
