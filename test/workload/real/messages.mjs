/** Keeps the numbers that its clients send over WebSockets, in memory only, and acknowledges each. */
import { createServer } from 'node:http';
import { WebSocketServer } from 'ws';

/** By client, in the order in which they came. */
const kept = new Map();

const server = createServer((request, response) => {
  response.setHeader('content-type', 'application/json');
  response.end(request.url === '/kept' ? JSON.stringify(Object.fromEntries(kept)) : '"well"');
});
new WebSocketServer({ server }).on('connection', (socket, request) => {
  const client = new URL(request.url, 'http://app').searchParams.get('client');
  if (!kept.has(client)) kept.set(client, []);
  const numbers = kept.get(client);
  socket.on('error', () => {});
  socket.on('message', (data) => {
    const number = Number(data);
    // What a client has sent once more, because it had no answer, is known already.
    if (number > (numbers.at(-1) ?? 0)) numbers.push(number);
    socket.send(String(number));
  });
});
server.listen(8080, () => console.log('listening'));
