/** The app at two places, in one process: `node app.js ADDRESS ADDRESS`. Tells on demand what has come, and when. */
import { createServer } from 'node:http';
import { parseAddress } from '../../gateway/config/address.ts';
import { nowMs } from '../../test/workload/exchange.ts';

/** What has come to one place since it was asked last. */
export interface Arrivals {
  /** By `nowMs()`, in order. */
  readonly atMs: readonly number[];
}

const places = process.argv.slice(2).map((address) => {
  const place: { atMs: number[] } = { atMs: [] };
  const server = createServer((_request, response) => {
    place.atMs.push(nowMs());
    response.end('here\n');
  });
  // Longer than any proxy in front keeps a connection idle, so that it is never this side that closes one in use.
  server.keepAliveTimeout = 120_000;
  const { host, port } = parseAddress(address);
  server.listen(port, host);
  return place;
});

process.on('message', () => {
  const arrivals: Arrivals[] = places.map(({ atMs }) => ({ atMs }));
  for (const place of places) place.atMs = [];
  process.send?.(arrivals);
});
process.on('disconnect', () => process.exit(0));
process.on('SIGINT', () => {});
