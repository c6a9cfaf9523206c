/** RFC 9110, section 7.6.1, and the older fields RFC 2616 counts among them. Lower case. */
const HOP_BY_HOP: ReadonlySet<string> = new Set([
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'transfer-encoding',
  'upgrade',
]);

export function isHopByHop(lowerName: string): boolean {
  return HOP_BY_HOP.has(lowerName);
}

/** Header names a `Connection` header declares to be for this connection only; undefined in the usual case of none. */
export function connectionOptions(connection: string | undefined): Set<string> | undefined {
  if (connection === undefined || /^(keep-alive|close|upgrade)$/i.test(connection)) return undefined;
  const options = new Set(connection.toLowerCase().split(/[\s,]+/));
  // Whoever names a framing field or the host here wants it to go missing further on: request smuggling.
  for (const name of ['content-length', 'host', '']) options.delete(name);
  return options;
}
