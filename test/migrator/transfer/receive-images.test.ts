import { readdir } from 'node:fs/promises';
import { crc32 } from 'node:zlib';
import t from 'tap';
import { codecs } from '../../../migrator/transfer/codec.ts';
import { encodeFrame, type Frame } from '../../../migrator/transfer/frame.ts';
import { KeptPages } from '../../../migrator/transfer/kept-pages.ts';
import { receiveImages } from '../../../migrator/transfer/receive-images.ts';

const hello = Buffer.from('hello');
const file = (path: string) => encodeFrame({ type: 'file', path });
const fileEnd = (sizeBytes: number, number = 0) => encodeFrame({ type: 'file-end', file: number, sizeBytes });
const end = (files: number, imageBytes: number) => encodeFrame({ type: 'end', files, imageBytes });

function data(payload: Buffer, more: Partial<Extract<Frame, { type: 'data' }>> = {}): Buffer {
  const frame: Frame = {
    type: 'data',
    file: 0,
    offset: 0,
    length: payload.length,
    rawBytes: payload.length,
    encoding: 'identity',
    crc32: crc32(payload),
    ...more,
  };
  return Buffer.concat([encodeFrame(frame, payload.length), payload]);
}

async function receive(dir: string, ...parts: Buffer[]): Promise<{ imageBytes: number }> {
  const stream = Buffer.concat(parts);
  return receiveImages({
    // One byte a piece at the start: no frame may rely on how the stream is cut.
    source: (async function* () {
      for (let at = 0; at < Math.min(stream.length, 100); at++) yield stream.subarray(at, at + 1);
      if (stream.length > 100) yield stream.subarray(100);
    })(),
    dir,
    kept: new KeptPages({ limitBytes: 1e6 }),
    limitBytes: 1e6,
    onReceived: () => {},
    signal: AbortSignal.timeout(10_000),
  });
}

t.test('a whole stream is taken', async (t) => {
  const dir = t.testdir();
  t.same(await receive(dir, file('a'), data(hello), fileEnd(5), end(1, 5)), { imageBytes: 5 });
  t.same(await readdir(dir), ['a']);
});

t.test('a stream cut anywhere is refused', async (t) => {
  const whole = Buffer.concat([file('a'), data(hello), fileEnd(5), end(1, 5)]);
  for (let length = 0; length < whole.length; length += 7) {
    const dir = t.testdir({});
    await t.rejects(receive(dir, whole.subarray(0, length)), { code: 'IMAGES_TRUNCATED' }, `${length} bytes`);
  }
});

t.test('a stream that is not what was sent is refused', async (t) => {
  const codec = codecs[0];
  const bomb = codec ? Buffer.from(await codec.encode(Buffer.alloc(400_000))) : hello;
  const whole = [file('a'), data(hello), fileEnd(5)];
  const cases: Record<string, Buffer[]> = {
    'a flipped bit': [file('a'), data(Buffer.from('hellp'), { crc32: crc32(hello) }), fileEnd(5), end(1, 5)],
    'a missing piece': [file('a'), data(hello), fileEnd(10), end(1, 10)],
    'a gap': [file('a'), data(hello, { offset: 5 }), fileEnd(10), end(1, 10)],
    'a piece twice': [file('a'), data(hello), data(hello), fileEnd(10), end(1, 10)],
    'a piece beyond the end': [file('a'), data(hello), fileEnd(4), end(1, 4)],
    'a piece after the end': [...whole, data(hello, { offset: 5 }), end(1, 10)],
    'a piece without a file': [data(hello), end(0, 0)],
    'a piece of another file': [file('a'), data(hello, { file: 1 }), fileEnd(5), end(1, 5)],
    'a file without an end': [file('a'), data(hello), end(1, 5)],
    'an end without a file': [fileEnd(0), end(0, 0)],
    'an end twice': [...whole, fileEnd(5), end(1, 5)],
    'other totals': [...whole, end(2, 5)],
    'more after the end frame': [...whole, end(1, 5), hello],
    'a payload where none belongs': [
      file('a'),
      encodeFrame({ type: 'zero', file: 0, offset: 0, length: 5 }, 5),
      hello,
      fileEnd(5),
      end(1, 5),
    ],
    'fewer bytes than the piece has': [file('a'), data(hello, { length: 6 }), fileEnd(6), end(1, 6)],
    'an unknown encoding': [file('a'), data(hello, { encoding: 'rot13' }), fileEnd(5), end(1, 5)],
    'what the codec cannot read': [file('a'), data(hello, { encoding: 'brotli' }), fileEnd(5), end(1, 5)],
    'more than was told when decoded': [
      file('a'),
      data(bomb, { length: 5, rawBytes: 5, encoding: codec?.encoding ?? '' }),
      fileEnd(5),
      end(1, 5),
    ],
    'no frame at all': [Buffer.from('GET / HTTP/1.1\r\nhost: x\r\n\r\n')],
  };
  for (const [name, parts] of Object.entries(cases)) {
    await t.rejects(receive(t.testdir({}), ...parts), { code: 'IMAGES_DAMAGED' }, name);
  }
});

t.test('no path leads out of the directory', async (t) => {
  for (const path of ['../x', '/etc/x', 'a/../../x', 'a//b', './a', '', '.', '..', 'a\0b', 'a/']) {
    const dir = t.testdir({ in: {} });
    await t.rejects(
      receive(`${dir}/in`, file(path), data(hello), fileEnd(5), end(1, 5)),
      { code: 'IMAGES_DAMAGED' },
      JSON.stringify(path),
    );
    t.same(await readdir(dir), ['in']);
  }
});

t.test('no file is written twice', async (t) => {
  const twice = [
    file('a'),
    data(hello),
    fileEnd(5),
    file('a'),
    data(hello, { file: 1 }),
    fileEnd(5, 1),
    end(2, 10),
  ];
  await t.rejects(receive(t.testdir(), ...twice), { code: 'IMAGES_DAMAGED' });
});
