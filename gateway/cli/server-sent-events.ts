/** One event of a stream, as far as the gateway's streams use the format: https://html.spec.whatwg.org/#server-sent-events */
export interface ServerSentEvent {
  readonly id: string;
  readonly data: string;
}

/** Comments and whatever has no data are left out, and so is an event that a cut stream left incomplete. */
export async function* readServerSentEvents(
  bytes: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
): AsyncGenerator<ServerSentEvent> {
  const decoder = new TextDecoder();
  let text = '';
  for await (const chunk of bytes) {
    text += decoder.decode(chunk, { stream: true });
    const blocks = text.split('\n\n');
    text = blocks.pop() ?? '';
    for (const block of blocks) {
      const event = parseBlock(block);
      if (event !== undefined) yield event;
    }
  }
}

function parseBlock(block: string): ServerSentEvent | undefined {
  const fields = new Map(block.split('\n').map((line) => line.split(/: ?(.*)/s, 2) as [string, string]));
  const data = fields.get('data');
  return data === undefined ? undefined : { id: fields.get('id') ?? '', data };
}
