import t from 'tap';
import { roomToKeep } from '../../../migrator/agent/room.ts';

const MIB = 1 << 20;

t.test('pages ahead get what the checkpoint and the restore leave, in whole pages', (t) => {
  const app = { memoryBytes: 100 * MIB, limitBytes: 200 * MIB };
  t.equal(roomToKeep({ ...app, availableBytes: 1000 * MIB, imagesInMemory: true }), 200 * MIB);
  t.equal(roomToKeep({ ...app, availableBytes: 400 * MIB + 5, imagesInMemory: true }), 36 * MIB);
  t.equal(roomToKeep({ ...app, availableBytes: 300 * MIB, imagesInMemory: false }), 136 * MIB);
  t.equal(roomToKeep({ ...app, availableBytes: 300 * MIB, imagesInMemory: true }), 0);
  t.end();
});
