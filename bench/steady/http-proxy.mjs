/** http-proxy as one would set it up to be fast: connections to the app are kept. `node http-proxy.mjs LISTEN TARGET` */
import { Agent, createServer } from 'node:http';
import httpProxy from 'http-proxy';

const [listen, target] = process.argv.slice(2);
const [host, port] = listen.split(':');
const agent = new Agent({ keepAlive: true });
const proxy = httpProxy.createProxyServer({ target: `http://${target}`, agent, xfwd: true });
proxy.on('error', (error, _request, response) => {
  process.stderr.write(`${error}\n`);
  response.destroy();
});
createServer((request, response) => proxy.web(request, response)).listen(Number(port), host);
