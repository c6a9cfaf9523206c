import { once } from 'node:events';
import t from 'tap';
import { encodeEvents } from '../../../gateway/admin/event-stream.ts';
import type { MigrationEvent } from '../../../migrator/events.ts';
import { toyFleet } from './toy-fleet.ts';

async function ordered(t: Parameters<typeof toyFleet>[0]) {
  const fleet = await toyFleet(t);
  const response = await fetch(`${fleet.url}/v1/migrations`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ app: 'shop', to: 'b' }),
  });
  const { id } = (await response.json()) as { id: string };
  return { fleet, events: `${fleet.url}/v1/migrations/${id}/events` };
}

const idsOf = (stream: string) => [...stream.matchAll(/^id: (\d+)$/gm)].map((match) => Number(match[1]));

t.test('every event has a number, from 1 on, and its type', async (t) => {
  const { events } = await ordered(t);
  const response = await fetch(events);
  t.equal(response.headers.get('content-type'), 'text/event-stream');
  const stream = await response.text();
  const ids = idsOf(stream);
  t.same(
    ids,
    ids.map((_, index) => index + 1),
  );
  t.match(stream, /id: 1\nevent: started\ndata: \{/);
  t.match(stream, /event: ended\ndata: \{.*\}\n\n$/);
});

t.test('a stream that was cut is taken up after the last event that came through', async (t) => {
  const { events } = await ordered(t);
  const whole = await (await fetch(events)).text();
  const rest = await (await fetch(events, { headers: { 'last-event-id': '5' } })).text();
  t.same(idsOf(rest), idsOf(whole).slice(5));
  t.equal((await fetch(events, { headers: { 'last-event-id': 'five' } })).status, 400);
});

t.test('a reader that goes away is forgotten at once', async (t) => {
  const { fleet, events } = await ordered(t);
  let goOn = () => {};
  fleet.beforeSend = new Promise((resolve) => {
    goOn = resolve;
  });
  const leaving = new AbortController();
  const response = await fetch(events, { signal: leaving.signal });
  await response.body?.getReader().read();
  leaving.abort();
  goOn();
  t.match(await (await fetch(events)).text(), 'event: ended');
});

t.test('a gateway that stops ends its streams', async (t) => {
  const fleet = await toyFleet(t);
  let goOn = () => {};
  fleet.beforeSend = new Promise((resolve) => {
    goOn = resolve;
  });
  const { id } = await fleet.context.migrations.order({ app: 'shop', to: 'b' });
  const response = await fetch(`${fleet.url}/v1/migrations/${id}/events`);
  fleet.stop();
  t.notMatch(await response.text(), 'event: ended');
  goOn();
  await fleet.context.migrations.settled();
});

t.test('silence is filled with comments', async (t) => {
  const news = new EventTarget();
  async function* oneLateEvent(): AsyncGenerator<MigrationEvent> {
    await once(news, 'go');
    yield {
      type: 'started',
      strategy: 'pre-copy',
      migrationId: 'm',
      app: 'shop',
      at: '',
      elapsedMs: 0,
      from: 'a',
      to: 'b',
    };
  }
  const stream = encodeEvents(oneLateEvent(), 0, 5);
  t.match((await stream.next()).value, /^retry: \d+\n\n$/);
  t.equal((await stream.next()).value, ': nothing new\n\n');
  news.dispatchEvent(new Event('go'));
  let last = '';
  for await (const piece of stream) last = piece;
  t.match(last, 'event: started');
});
