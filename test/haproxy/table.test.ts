import t from 'tap';
import { readCommaTable, readTable } from '../../haproxy/table.ts';

t.test('a table with commas, quotes and empty fields', async (t) => {
  const text = '# name,last,size,\na,"code ""<503>"", twice",3,\nb,,,\n';
  const rows = readCommaTable(text.trimEnd(), 'name') ?? [];
  t.same(
    rows.map((row) => [row.text('name'), row.text('last'), row.number('size')]),
    [
      ['a', 'code "<503>", twice', 3],
      ['b', '', 0],
    ],
  );
  t.equal(readCommaTable('Permission denied', 'name'), undefined);
});

t.test('a table with blanks, behind a line that is none of it', async (t) => {
  const [row] = readTable('1\n# be_id be_name port\n3 app -', 'be_id') ?? [];
  t.equal(row?.text('be_name'), 'app');
  t.equal(row?.number('port'), 0);
  t.throws(() => row?.text('weight'), { code: 'HAPROXY_ANSWER_INVALID' }, 'a column of another version');
  t.throws(() => row?.number('be_name'), { code: 'HAPROXY_ANSWER_INVALID' });
  t.equal(readTable('No such backend.', 'be_id'), undefined);
});
