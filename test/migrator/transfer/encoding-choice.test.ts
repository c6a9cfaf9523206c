import t from 'tap';
import { codecs } from '../../../migrator/transfer/codec.ts';
import { EncodingChoice, Patience } from '../../../migrator/transfer/encoding-choice.ts';
import { LinkMeter } from '../../../migrator/transfer/link-meter.ts';

const CHUNK = 512 * 1024;
const codec = codecs[0];

/** A link that has shown this rate, with nothing under way. */
function linkOf(rateBpms: number): LinkMeter {
  let now = 0;
  const meter = new LinkMeter({ now: () => now });
  meter.handed(22 * CHUNK);
  meter.acked(CHUNK);
  now += (20 * CHUNK) / rateBpms;
  meter.acked(21 * CHUNK);
  meter.acked(22 * CHUNK);
  return meter;
}

/** A choice that has seen its codec take 2 ms for each chunk, several of them encoded side by side or one. */
function choiceOn(meter: LinkMeter, { patience = Patience.frozen as Patience, sideBySide = 1 } = {}) {
  let now = 0;
  const choice = new EncodingChoice({ codec, meter, patience, now: () => now });
  choice.choose(CHUNK); // The first one goes as it is.
  for (let i = 0; i < 20; i++) {
    for (let one = 0; one < sideBySide; one++) choice.begun();
    now += 2;
    for (let one = 0; one < sideBySide; one++) choice.encoded({ sizeBytes: CHUNK, encodedBytes: CHUNK / 2 });
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

t.test('chunks that are encoded side by side count as the codec’s work together', async (t) => {
  const linkFasterThanOne = linkOf(400_000);
  linkFasterThanOne.handed(16 * CHUNK);
  t.equal(choiceOn(linkFasterThanOne).choose(CHUNK), undefined);
  t.equal(choiceOn(linkFasterThanOne, { sideBySide: 4 }).choose(CHUNK), codec);
});

t.test('ahead of the freeze fewer bytes are worth more time, but not any time', async (t) => {
  const { ahead: patience } = Patience;
  t.equal(choiceOn(linkOf(400_000), { patience }).choose(CHUNK), codec);
  t.equal(choiceOn(linkOf(2_000_000), { patience }).choose(CHUNK), undefined);
});

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
    choice.begun();
    t.notOk(choice.encoded({ sizeBytes: CHUNK, encodedBytes: CHUNK }));
  }
  t.ok(tried < 12, `${tried} of 100`);
});

t.test('the rate of an idle link is not taken for its best', async (t) => {
  let now = 0;
  const meter = new LinkMeter({ now: () => now });
  meter.handed(1000);
  meter.acked(1000);
  const before = meter.rateBpms;
  now = 60_000;
  meter.handed(1000);
  meter.acked(2000);
  t.equal(meter.rateBpms, before);
  t.equal(meter.backlogBytes, 0);
});
