import type { IncomingMessage } from 'node:http';
import { type ErrorBody, fromErrorBody, HoldfastError } from '../errors.ts';

const LONGEST_REFUSAL = 64 * 1024;

/** What an agent answers instead of a stream. */
export async function refusalOf(response: IncomingMessage): Promise<HoldfastError> {
  let text = '';
  response.setEncoding('utf8');
  for await (const part of response) {
    text += part;
    if (text.length > LONGEST_REFUSAL) break;
  }
  try {
    const body = JSON.parse(text) as ErrorBody;
    if (typeof body.code === 'string' && typeof body.message === 'string') return fromErrorBody(body);
  } catch {
    // Not an agent of ours.
  }
  return new HoldfastError('AGENT_ANSWER_INVALID', `the other agent answered ${response.statusCode}`, {
    mend: 'run the same version of Holdfast everywhere',
  });
}
