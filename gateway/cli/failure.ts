import { CommanderError } from 'commander';
import { HoldfastError, toErrorBody } from '../../migrator/errors.ts';

/** What a command's exit code says. */
export const Exit = {
  ok: 0,
  /** It was tried and has failed; a migration was rolled back. */
  failed: 1,
  /** It was refused, or not understood: nothing has been done. */
  refused: 2,
} as const;
export type Exit = (typeof Exit)[keyof typeof Exit];

/** The gateway's no to something that was asked of it. */
export class Refusal extends HoldfastError {}

/** Write `gateway: CODE: message`, the mend on the next line, and tell the exit code. */
export function reportFailure(error: unknown): Exit {
  if (error instanceof CommanderError) {
    // Commander has written the usage error, or the help that was asked for.
    return error.exitCode === 0 ? Exit.ok : Exit.refused;
  }
  const { code, message, mend } = toErrorBody(error);
  process.stderr.write(`gateway: ${code}: ${message}\n`);
  if (mend !== undefined) process.stderr.write(`  ${mend}\n`);
  if (code === 'INTERNAL' && error instanceof Error) process.stderr.write(`${error.stack}\n`);
  return error instanceof Refusal ? Exit.refused : Exit.failed;
}
