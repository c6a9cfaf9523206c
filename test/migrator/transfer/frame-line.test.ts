import t from 'tap';
import { CHUNK_BYTES } from '../../../migrator/transfer/frame.ts';
import { FrameLine, type ReadyFrame } from '../../../migrator/transfer/frame-line.ts';

/** A link that takes what it is given when it is told to. */
class SlowLink {
  readonly written: string[] = [];
  #taken: (() => void)[] = [];

  write = (parts: readonly Uint8Array[]): Promise<void> => {
    this.written.push(Buffer.concat(parts).toString());
    return new Promise((resolve) => {
      this.#taken.push(resolve);
    });
  };

  take(): void {
    for (const taken of this.#taken.splice(0)) taken();
  }
}

const { signal } = new AbortController();
const released: string[] = [];
const frame = (text: string): ReadyFrame => ({
  parts: [Buffer.from(text)],
  release: () => released.push(text),
});
const soon = (text: string) => Promise.resolve(frame(text));
const turn = () => new Promise((resolve) => setImmediate(resolve));

t.test('what became ready while the link was busy is written at one go', async (t) => {
  const link = new SlowLink();
  const line = new FrameLine({ write: link.write, signal });
  line.add(soon('a'), 1);
  await turn();
  for (const text of ['b', 'c', 'd']) line.add(soon(text), 1);
  await turn();
  t.same(link.written, ['a']);
  t.same(released, []);
  link.take();
  await turn();
  t.same(link.written, ['a', 'bcd']);
  t.same(released, ['a'], 'a buffer is given back when the link has taken it');
  link.take();
  await line.empty();
  t.same(released, ['a', 'b', 'c', 'd']);
});

t.test('none goes before one that was made before it', async (t) => {
  const link = new SlowLink();
  const line = new FrameLine({ write: link.write, signal });
  let becomeReady: (frame: ReadyFrame) => void = () => {};
  const slow = new Promise<ReadyFrame>((resolve) => {
    becomeReady = resolve;
  });
  line.add(slow, 1);
  line.add(soon('second'), 1);
  await turn();
  t.same(link.written, []);
  becomeReady(frame('first '));
  await turn();
  t.equal(link.written.join(''), 'first second');
  link.take();
  await line.empty();
});

t.test('there is room for so many bytes, and no more until some are written', async (t) => {
  const link = new SlowLink();
  const line = new FrameLine({ write: link.write, signal });
  for (let chunk = 0; chunk < 5; chunk++) line.add(soon('.'), CHUNK_BYTES);
  let isRoom = false;
  const room = line.room().then(() => {
    isRoom = true;
  });
  await turn();
  t.notOk(isRoom);
  t.same(link.written, ['.'], 'a chunk at a time');
  link.take();
  await room;
  t.ok(isRoom);
});

t.test('whoever waits is told when making a frame fails, or writing it', async (t) => {
  const wrong = new Error('not to be read');
  const made = new FrameLine({ write: async () => {}, signal });
  made.add(Promise.reject(wrong), 1);
  await t.rejects(made.empty(), wrong);
  await t.rejects(made.room(), wrong, 'and again');

  const written = new FrameLine({ write: () => Promise.reject(wrong), signal });
  written.add(soon('lost'), 1);
  await t.rejects(written.empty(), wrong);
});

t.test('nothing is written any more once the signal has fired', async (t) => {
  const stop = new AbortController();
  const link = new SlowLink();
  const line = new FrameLine({ write: link.write, signal: stop.signal });
  stop.abort(new Error('called off'));
  line.add(soon('late'), 1);
  await t.rejects(line.empty(), { message: 'called off' });
  t.same(link.written, []);
});
