import { HoldfastError } from '../migrator/errors.ts';

/**
 * Tell plainly why an address cannot be listened on.
 *
 * @throws HoldfastError `ADDRESS_IN_USE`, `ADDRESS_FORBIDDEN`, `ADDRESS_UNAVAILABLE`
 */
export async function listening<T>(address: string, listen: Promise<T>): Promise<T> {
  try {
    return await listen;
  } catch (cause) {
    throw translate(address, cause) ?? cause;
  }
}

function translate(address: string, cause: unknown): HoldfastError | undefined {
  switch ((cause as NodeJS.ErrnoException).code) {
    case 'EADDRINUSE':
      return new HoldfastError('ADDRESS_IN_USE', `something listens on ${address} already`, {
        mend: 'stop it, or set another address in the configuration',
        cause,
      });
    case 'EACCES':
      return new HoldfastError('ADDRESS_FORBIDDEN', `listening on ${address} is not allowed`, {
        mend: 'ports below 1024 need root or CAP_NET_BIND_SERVICE',
        cause,
      });
    case 'EADDRNOTAVAIL':
    case 'ENOTFOUND':
      return new HoldfastError('ADDRESS_UNAVAILABLE', `${address} is not an address of this machine`, {
        mend: 'listen on one of its own addresses, or on 0.0.0.0 for all of them',
        cause,
      });
    default:
      return undefined;
  }
}
