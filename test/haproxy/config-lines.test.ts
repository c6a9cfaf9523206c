import t from 'tap';
import { ANYTHING, fits, readConfigLines } from '../../haproxy/config-lines.ts';

const words = (text: string) => readConfigLines(text).map((line) => line.words);

t.test('blanks separate, comments and empty lines say nothing', async (t) => {
  t.same(words('# one\n\n\t server  app\t127.0.0.1:1 # two\r\n'), [['server', 'app', '127.0.0.1:1']]);
  t.match(readConfigLines('\n# x\n  mode http # y'), [{ number: 3, text: 'mode http # y' }]);
});

t.test('quotes and backslashes keep what would mean something else', async (t) => {
  t.same(words(String.raw`a "b # c" 'd "e" \x' f\ g \# \x41 "\"" '' h"i"'j'`), [
    ['a', 'b # c', String.raw`d "e" \x`, 'f g', '#', 'A', '"', '', 'hij'],
  ]);
  t.same(words(`a "b c\nd 'e`), [
    ['a', 'b c'],
    ['d', 'e'],
  ]);
});

t.test('a variable may be anything, unless the configuration itself sets it', async (t) => {
  t.same(words('server gate "$' + '{GATE}:80" $GATE "$5" \'$GATE\''), [
    ['server', 'gate', `${ANYTHING}:80`, '$GATE', ANYTHING, '$GATE'],
  ]);
  t.same(words('global\n setenv GATE 10.0.0.1\nserver gate "$' + '{GATE-x}:80"').at(-1), [
    'server',
    'gate',
    '10.0.0.1:80',
  ]);
  t.ok(fits(`${ANYTHING}:80`, '10.0.0.1:80'));
  t.notOk(fits(`${ANYTHING}:80`, '10.0.0.1:81'));
  t.notOk(fits(`10${ANYTHING}0`, '10'));
  t.notOk(fits(undefined, ''));
});

t.test('conditional blocks count as if all of them held', async (t) => {
  t.same(words('.if version_atleast(2.8)\nmode http\n.else\nmode tcp\n.endif'), [
    ['mode', 'http'],
    ['mode', 'tcp'],
  ]);
});
