import { STATUS_CODES } from 'node:http';
import { connectionOptions, isHopByHop } from './hop-by-hop.ts';

/** Names and values in turn as undici hands them over, before any decoding. */
export type RawHeaders = readonly (Buffer | string)[];

export interface ResponseHead {
  /** Names and values in turn, in the app's order, duplicates and all. */
  readonly headers: string[];
  readonly contentType: string;
  readonly isChunked: boolean;
  /** The protocol of a 101, empty otherwise. */
  readonly upgrade: string;
}

/** Strip what belongs to the connection to the app. `Trailer` is kept: chunked answers carry theirs on. */
export function responseHead(raw: RawHeaders): ResponseHead {
  const headers: string[] = [];
  let contentType = '';
  let isChunked = false;
  let upgrade = '';
  let dropped: Set<string> | undefined;
  for (let i = 0; i < raw.length; i += 2) {
    const name = latin1(raw[i]);
    const lower = name.toLowerCase();
    if (lower === 'connection') dropped = connectionOptions(latin1(raw[i + 1])) ?? dropped;
    else if (lower === 'transfer-encoding') isChunked = true;
    else if (lower === 'content-type') contentType = latin1(raw[i + 1]);
    else if (lower === 'upgrade') upgrade = latin1(raw[i + 1]);
    if (!isHopByHop(lower)) headers.push(name, latin1(raw[i + 1]));
  }
  return { headers: dropped ? without(headers, dropped) : headers, contentType, isChunked, upgrade };
}

export function without(headers: readonly string[], lowerNames: ReadonlySet<string>): string[] {
  const kept: string[] = [];
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i] ?? '';
    if (!lowerNames.has(name.toLowerCase())) kept.push(name, headers[i + 1] ?? '');
  }
  return kept;
}

/** Trailers as node wants them. Fields that frame or route a message have no business there (RFC 9110, 6.5.1). */
export function trailerFields(raw: RawHeaders): [string, string][] {
  const { headers } = responseHead(raw);
  const fields: [string, string][] = [];
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i] ?? '';
    if (!/^(content-length|host|trailer)$/i.test(name)) fields.push([name, headers[i + 1] ?? '']);
  }
  return fields;
}

/** The head of an answer that node's ServerResponse has no call for: 1xx. */
export function headText(status: number, headers: readonly string[]): string {
  let text = `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}\r\n`;
  for (let i = 0; i < headers.length; i += 2) text += `${headers[i]}: ${headers[i + 1]}\r\n`;
  return `${text}\r\n`;
}

function latin1(value: Buffer | string | undefined): string {
  if (value === undefined) return '';
  return typeof value === 'string' ? value : value.toString('latin1');
}
