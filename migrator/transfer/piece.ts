/**
 * What is sent, before it is encoded; the frames of the same names say what it means. `buffer` was taken from the store
 * and is the sender's to give back; `raw` is the part of it that goes into the payload.
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
      readonly buffer: Buffer;
      readonly parts?: number[];
    }
  | { readonly type: 'zero'; readonly file: number; readonly offset: number; readonly length: number }
  | { readonly type: 'keep'; readonly raw: Buffer; readonly buffer: Buffer };
