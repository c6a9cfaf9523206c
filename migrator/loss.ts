import { HoldfastError } from './errors.ts';

/** Of what a migration had on a host there is nothing left. */
export function instanceLost(container: string, why: string): HoldfastError {
  return new HoldfastError('INSTANCE_LOST', `nothing is left of ${container} there: ${why}`, {
    mend: 'start it anew: gateway start APP --on HOST',
  });
}

export function isInstanceLost(error: unknown): error is HoldfastError {
  return error instanceof HoldfastError && error.code === 'INSTANCE_LOST';
}

/** Whether an error says that the instance at the destination is gone, be it for want of its pages or with its host. */
export function isLossOfDestination(error: unknown): error is HoldfastError {
  return isInstanceLost(error) || (error instanceof HoldfastError && error.code === 'PAGES_LOST');
}
