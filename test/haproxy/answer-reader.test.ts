import t from 'tap';
import { AnswerReader, Prompt } from '../../haproxy/answer-reader.ts';

const ANSWERS = [
  '',
  'Name: HAProxy\nVersion: 2.6',
  '',
  'Server deleted.',
  '0x1 schlüssel größe ≥ 3 > 2\n0x2 k v',
];
/** As HAProxy prints them: mostly with an empty line at the end, one without, two that are empty. */
const PRINTED = [...ANSWERS].map((text) => (text === '' || text === 'Server deleted.' ? text : `${text}\n`));

function printed(prompt: Prompt): Buffer {
  return Buffer.from(PRINTED.map((text) => `${text}\n${prompt}`).join(''));
}

for (const prompt of Object.values(Prompt)) {
  t.test(`answers before "${prompt}" are the same however they are cut`, async (t) => {
    const bytes = printed(prompt);
    for (let size = 1; size <= bytes.length; size += 1) {
      const reader = new AnswerReader(prompt, 1_000);
      const answers: string[] = [];
      for (let at = 0; at < bytes.length; at += size)
        answers.push(...reader.push(bytes.subarray(at, at + size)));
      if (JSON.stringify(answers) !== JSON.stringify(ANSWERS))
        t.same(answers, ANSWERS, `in pieces of ${size}`);
    }
    for (let at = 0; at <= bytes.length; at += 1) {
      const reader = new AnswerReader(prompt, 1_000);
      const answers = [...reader.push(bytes.subarray(0, at)), ...reader.push(bytes.subarray(at))];
      if (JSON.stringify(answers) !== JSON.stringify(ANSWERS)) t.same(answers, ANSWERS, `cut at ${at}`);
      t.equal(reader.rest, '');
    }
  });
}

t.test('what is not whole yet is kept apart', async (t) => {
  const reader = new AnswerReader(Prompt.worker, 1_000);
  t.same(reader.push(Buffer.from('one\n\n> tw')), ['one']);
  t.equal(reader.rest, 'tw');
  t.same(reader.push(Buffer.from('o\n>')), []);
  t.same(reader.push(Buffer.from(' ')), ['two']);
});

t.test('an answer larger than its bound is refused while it comes', async (t) => {
  const reader = new AnswerReader(Prompt.worker, 10);
  t.same(reader.push(Buffer.from('12345\n> 1234567')), ['12345']);
  t.throws(() => reader.push(Buffer.from('8901')), { code: 'HAPROXY_ANSWER_TOO_LARGE' });
});
