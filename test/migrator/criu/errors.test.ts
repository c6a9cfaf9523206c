import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { criuError, errorLines, Phase } from '../../../migrator/criu/errors.ts';

const dir = await mkdtemp(join(tmpdir(), 'holdfast-criu-errors-'));
t.teardown(() => rm(dir, { recursive: true, force: true }));

const HARMLESS =
  "(00.000786) Error (criu/util.c:1534): rlimit: Can't setup RLIMIT_NOFILE for self: Operation not permitted";

async function errorOf(phase: Phase, ...lines: string[]) {
  const file = join(dir, 'log');
  await writeFile(file, ['(00.000001) Version: 4.2.1', HARMLESS, ...lines, ''].join('\n'));
  return criuError(phase, file, 'criu failed: type DUMP errno 0');
}

t.test('only the lines that matter are told', async (t) => {
  const log = [HARMLESS, '(00.015352) Error (criu/mem.c:718): it broke', '(00.02) Warn  (criu/x.c:1): no'];
  t.same(errorLines(log.join('\n')), ['Error (criu/mem.c:718): it broke']);
});

t.test('known causes are recognised in what CRIU 4.2 and its forerunners wrote', async (t) => {
  const cases = [
    [
      Phase.dump,
      '(00.015352) Error (criu/page-xfer.c:263): page-xfer: Unable to spice data: No space left on device',
      'IMAGES_DISK_FULL',
      /make room/,
    ],
    [
      Phase.dump,
      '(00.1) Error (criu/files.c:1): Unknown shit 600 (anon_inode:[io_uring])',
      'DUMP_FAILED',
      /io_uring/,
    ],
    [
      Phase.dump,
      "(00.011737) Error (criu/files-reg.c:1790): Can't lookup mount=70 for fd=2 path=/run/hf/err",
      'DUMP_FAILED',
      /stdio/,
    ],
    [
      Phase.dump,
      "(00.1) Error (criu/sockets.c:1): Can't get 1:16 opt: Operation not supported",
      'DUMP_FAILED',
      /4\.2/,
    ],
    [Phase.restore, '(00.1) Error (criu/sk-inet.c:1): Address already in use', 'RESTORE_FAILED', /port/],
    [Phase.restore, '(00.1) Error (criu/x.c:1): never seen before', 'RESTORE_FAILED', /read .*log/],
  ] as const;
  for (const [phase, line, code, mend] of cases) {
    const error = await errorOf(phase, line);
    t.equal(error.code, code);
    t.match(error.mend, mend);
    t.match(error.message, line.slice(line.indexOf('Error')));
  }
});

t.test("without a log the runtime's own words are told", async (t) => {
  const error = await criuError(
    Phase.restore,
    join(dir, 'nothing-here'),
    'make mountpoint: read-only file system',
  );
  t.match(error.message, /read-only file system/);
  t.match(error.mend, /mounts of both hosts/);
});

t.test('a log that has grown beyond all bounds is read at both ends', async (t) => {
  const file = join(dir, 'huge');
  const filler = `${'(00.1) pie: 1: Preadv returned 0\n'.repeat(100_000)}`;
  await writeFile(file, `(00.1) Error (criu/a.c:1): first\n${filler}(00.2) Error (criu/b.c:2): last\n`);
  const error = await criuError(Phase.restore, file, '');
  t.match(error.message, /first.*last/);
});
