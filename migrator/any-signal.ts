/** What a signal depends on, for as long as somebody has that signal. */
const sources = new WeakMap<AbortSignal, readonly AbortSignal[]>();

/**
 * Fires when the first of `signals` does, as `AbortSignal.any` is meant to. In Node 20 that does not keep what it depends
 * on: a deadline made by `AbortSignal.timeout` for it alone is collected as garbage, and then it never comes.
 */
export function anySignal(signals: readonly AbortSignal[]): AbortSignal {
  const any = AbortSignal.any([...signals]);
  sources.set(any, signals);
  return any;
}
