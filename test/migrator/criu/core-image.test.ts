import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { readRseq } from '../../../migrator/criu/core-image.ts';

/** A core image as CRIU 4.2 writes them, reduced to what is read and what must be passed over. */
function image(rseq?: { address: number; sizeBytes: number }): Buffer {
  const thread = rseq && field(15, message([varintField(1, rseq.address), varintField(2, rseq.sizeBytes)]));
  const core = message([
    varintField(1, 1),
    field(2, Buffer.from([0x09, 1, 2, 3, 4, 5, 6, 7, 8, 0x15, 1, 2, 3, 4])),
    field(3, message([varintField(1, 1), field(6, Buffer.from('node'))])),
    field(5, message([varintField(1, 2 ** 47), ...(thread ? [thread] : [])])),
  ]);
  const head = Buffer.alloc(12);
  head.writeUInt32LE(0x54564319, 0);
  head.writeUInt32LE(0x55053847, 4);
  head.writeUInt32LE(core.length, 8);
  return Buffer.concat([head, core]);
}

const message = (fields: readonly Buffer[]) => Buffer.concat(fields);
const varintField = (number: number, value: number) => Buffer.from([...varint(number * 8), ...varint(value)]);
const field = (number: number, bytes: Buffer) =>
  Buffer.concat([Buffer.from([...varint(number * 8 + 2), ...varint(bytes.length)]), bytes]);

function varint(value: number): number[] {
  const bytes: number[] = [];
  let rest = value;
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest % 128) + 128);
  return [...bytes, rest];
}

t.test('where the kernel writes for a thread is read', async (t) => {
  const dir = t.testdir();
  const rseq = { address: 0x7f12_3456_7890, sizeBytes: 32 };
  writeFileSync(join(dir, 'core-1.img'), image(rseq));
  writeFileSync(join(dir, 'core-2.img'), image());
  t.same(await readRseq(dir, 1), rseq);
  t.equal(await readRseq(dir, 2), undefined, 'not every thread has it');
});

t.test('what is no core image, or is cut short, is an error with a code', async (t) => {
  const dir = t.testdir();
  const whole = image({ address: 4096, sizeBytes: 32 });
  writeFileSync(join(dir, 'core-1.img'), whole.subarray(0, whole.length - 3));
  writeFileSync(join(dir, 'core-2.img'), Buffer.concat([Buffer.alloc(8), whole.subarray(8)]));
  for (const tid of [1, 2, 3]) await t.rejects(readRseq(dir, tid), { code: 'IMAGES_DAMAGED' });
});
