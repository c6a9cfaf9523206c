import { readFile } from 'node:fs/promises';
import { HoldfastError } from '../../migrator/errors.ts';

/** @throws HoldfastError `TOKEN_FILE_UNREADABLE`, also when there is nothing in it */
export async function readToken(file: string): Promise<string> {
  let token = '';
  let cause: unknown;
  try {
    token = (await readFile(file, 'utf8')).trim();
  } catch (error) {
    cause = error;
  }
  if (token !== '') return token;
  throw new HoldfastError('TOKEN_FILE_UNREADABLE', `there is no token in ${file}`, {
    mend: `make one: (umask 077; openssl rand -hex 32 > ${file})`,
    cause,
  });
}
