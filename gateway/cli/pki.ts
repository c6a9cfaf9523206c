import { type Command, InvalidArgumentError, Option } from 'commander';
import { initAuthority, issueCertificate } from '../../migrator/pki/directory.ts';
import { Role } from '../../migrator/pki/role.ts';

const AUTHORITY_DAYS = 3650;
const LEAF_DAYS = 825;

/** `gateway pki init` and `gateway pki issue`: the certificates that gateway and agents show one another. */
export function pkiCommand(program: Command): void {
  const pki = program.command('pki').description('make the certificates that gateway and agents trust');

  pki
    .command('init')
    .description('make a certificate authority')
    .option('--dir <dir>', 'where its files go', 'pki')
    .option('--days <days>', 'how long it is valid', positiveInteger, AUTHORITY_DAYS)
    .option('--force', 'overwrite what is there', false)
    .action(async (options: { dir: string; days: number; force: boolean }) => {
      print(await initAuthority(options));
    });

  pki
    .command('issue <name>')
    .description('issue a certificate for a gateway or an agent')
    .addOption(
      new Option('--role <role>', 'what its holder may do')
        .choices(Object.values(Role))
        .makeOptionMandatory(),
    )
    .requiredOption('--san <host-or-ip...>', 'addresses and names under which the holder is reached')
    .option('--dir <dir>', 'where the authority is, and the files go', 'pki')
    .option('--days <days>', 'how long it is valid', positiveInteger, LEAF_DAYS)
    .option('--force', 'overwrite what is there', false)
    .action(
      async (
        name: string,
        options: { role: Role; san: string[]; dir: string; days: number; force: boolean },
      ) => {
        print(await issueCertificate({ ...options, name }));
      },
    );
}

function print(files: { certificateFile: string; keyFile: string }): void {
  process.stdout.write(`${files.certificateFile}\n${files.keyFile}\n`);
}

function positiveInteger(text: string): number {
  const value = Number(text);
  if (Number.isInteger(value) && value > 0) return value;
  throw new InvalidArgumentError('a whole number above 0 is needed');
}
