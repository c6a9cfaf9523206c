import t from 'tap';
import { codecs } from '../../../migrator/transfer/codec.ts';
import { EncodingChoice } from '../../../migrator/transfer/encoding-choice.ts';
import { LinkMeter } from '../../../migrator/transfer/link-meter.ts';

const CHUNK = 512 * 1024;
const codec = codecs[0];

/** A link that has shown this rate, with nothing under way. */
function linkOf(rateBpms: number): LinkMeter {
  let now = 0;
  const meter = new LinkMeter(() => now);
  meter.handed(22 * CHUNK);
  meter.acked(CHUNK);
  now += (20 * CHUNK) / rateBpms;
  meter.acked(21 * CHUNK);
  meter.acked(22 * CHUNK);
  return meter;
}

function choiceOn(meter: LinkMeter): EncodingChoice {
  const choice = new EncodingChoice({ codec, meter });
  for (let i = 0; i < 20; i++) {
    if (choice.choose(CHUNK)) choice.encoded({ sizeBytes: CHUNK, encodedBytes: CHUNK / 2, durationMs: 2 });
  }
  return choice;
}

t.test('over a link slower than the codec chunks are encoded', async (t) => {
  t.equal(choiceOn(linkOf(12_500)).choose(CHUNK), codec, '100 Mbit/s');
  t.equal(choiceOn(linkOf(100_000)).choose(CHUNK), codec, '800 Mbit/s');
});

t.test(
  'over a link faster than the codec they are not, and over one nearly so only while it is busy',
  async (t) => {
    t.equal(choiceOn(linkOf(2_000_000)).choose(CHUNK), undefined);
    const meter = linkOf(200_000);
    const choice = choiceOn(meter);
    t.equal(choice.choose(CHUNK), undefined);
    meter.handed(16 * CHUNK);
    t.equal(choice.choose(CHUNK), codec, 'while the link is busy, encoding is free');
  },
);

t.test('the first chunk goes as it is, to see what the link can do', async (t) => {
  const choice = new EncodingChoice({ codec, meter: linkOf(12_500) });
  t.equal(choice.choose(CHUNK), undefined);
  t.equal(choice.choose(CHUNK), codec);
});

t.test('what does not shrink is tried at growing intervals', async (t) => {
  const choice = new EncodingChoice({ codec, meter: linkOf(12_500) });
  let tried = 0;
  for (let i = 0; i < 100; i++) {
    if (!choice.choose(CHUNK)) continue;
    tried++;
    t.notOk(choice.encoded({ sizeBytes: CHUNK, encodedBytes: CHUNK, durationMs: 2 }));
  }
  t.ok(tried < 12, `${tried} of 100`);
});

t.test('the rate of an idle link is not taken for its best', async (t) => {
  let now = 0;
  const meter = new LinkMeter(() => now);
  meter.handed(1000);
  meter.acked(1000);
  const before = meter.rateBpms;
  now = 60_000;
  meter.handed(1000);
  meter.acked(2000);
  t.equal(meter.rateBpms, before);
  t.equal(meter.backlogBytes, 0);
});
