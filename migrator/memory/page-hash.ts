import { xxh64 } from '@node-rs/xxhash';
import { PAGE_BYTES } from '../transfer/frame.ts';

/** Of the second of a page's two 64-bit hashes; the first has seed 0. */
export const SECOND_SEED = 0x9e3779b97f4a7c15n;
/** A page's two hashes as 32-bit numbers: no object is made of them, there being millions. */
export const HASH_WORDS = 4;
export const HASH_BYTES = HASH_WORDS * 4;

/**
 * What a page is known by: two 64-bit hashes of different seeds. Two pages that differ share both once in 2^128 by
 * chance, and two such hashes cost less here than one of 128 bits. They do not hold against somebody who crafts pages,
 * whatever the seeds: see docs/transfer.md.
 */
export function hashOf(page: Uint8Array): Uint32Array {
  return new Uint32Array(BigUint64Array.of(firstHash(page), secondHash(page)).buffer);
}

function firstHash(page: Uint8Array): bigint {
  return xxh64(page);
}

function secondHash(page: Uint8Array): bigint {
  return xxh64(page, SECOND_SEED);
}

/** Of a page of zeros. */
export const zeroHash = hashOf(Buffer.alloc(PAGE_BYTES));

export function sameHash(a: Uint32Array, aAt: number, b: Uint32Array, bAt: number): boolean {
  return (
    a[aAt] === b[bAt] && a[aAt + 1] === b[bAt + 1] && a[aAt + 2] === b[bAt + 2] && a[aAt + 3] === b[bAt + 3]
  );
}

/** Whether this is the hash of a page of zeros. */
export function isZeroHash(hashes: Uint32Array, at: number): boolean {
  return sameHash(hashes, at, zeroHash, 0);
}

/** Write both hashes of a page as they travel, the lower byte first. Zeros stand for no page: none that anybody met has them. */
export function writeHash(page: Uint8Array, target: Buffer, offset: number): void {
  target.writeBigUInt64LE(firstHash(page), offset);
  target.writeBigUInt64LE(secondHash(page), offset + 8);
}

/** Whether `hashes` has this page's at `offset`, as `writeHash` writes them. */
export function hasHash(page: Uint8Array, hashes: Buffer, offset: number): boolean {
  return (
    hashes.readBigUInt64LE(offset) === firstHash(page) &&
    hashes.readBigUInt64LE(offset + 8) === secondHash(page)
  );
}
