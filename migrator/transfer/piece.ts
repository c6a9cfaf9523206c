/**
 * What is sent, before it is encoded; the frames of the same names say what it means. `raw` goes into the payload; the
 * `buffer` it is part of, if any, was taken from the store and is the sender's to give back.
 */
export type Piece =
  | { readonly type: 'file'; readonly path: string }
  | { readonly type: 'file-end'; readonly file: number; readonly sizeBytes: number }
  | {
      readonly type: 'data';
      readonly file: number;
      readonly offset: number;
      readonly length: number;
      readonly raw: Buffer;
      readonly buffer?: Buffer;
      readonly parts?: number[];
    }
  | { readonly type: 'zero'; readonly file: number; readonly offset: number; readonly length: number }
  | { readonly type: 'keep'; readonly raw: Buffer; readonly buffer: Buffer };
