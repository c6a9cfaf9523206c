/**
 * What files of an app are like, as far as moving them goes: sizes as file systems have them, contents that compress as
 * texts, records and pictures do. The same seed gives the same bytes, on whatever host.
 */
import { createCipheriv } from 'node:crypto';

/** In turn: half the files are text, a quarter records, a quarter what is compressed already. */
const KINDS = ['text', 'packed', 'text', 'records'];
const LEAST_BYTES = 64;
/** Of the logarithm of sizes: the mean is then three times the median, and few large files hold most of the bytes. */
const SIGMA = 1.5;
const MOST_TIMES_MEAN = 200;
const VOCABULARY = 2_000;

/** Numbers from 0 to 1 (mulberry32). */
export function randomFrom(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Log-normal, none below 64 bytes, `bytes` in all. */
export function fileSizes(files, bytes, seed) {
  const random = randomFrom(seed);
  const raw = Array.from({ length: files }, () => {
    const normal = Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
    return Math.exp(SIGMA * normal);
  });
  const mean = raw.reduce((sum, one) => sum + one, 0) / files;
  const capped = raw.map((one) => Math.min(one, MOST_TIMES_MEAN * mean));
  const share = (bytes - files * LEAST_BYTES) / capped.reduce((sum, one) => sum + one, 0);
  const sizes = capped.map((one) => LEAST_BYTES + Math.floor(one * share));
  // What rounding has left over.
  sizes[0] += bytes - sizes.reduce((sum, one) => sum + one, 0);
  return sizes;
}

/** @param nth which of the files: tells the kind */
export function contentOf(nth, sizeBytes, seed) {
  const kind = KINDS[nth % KINDS.length];
  const random = randomFrom(seed * 1_000_003 + nth);
  if (kind === 'packed') return packed(sizeBytes, random);
  const piece = kind === 'text' ? () => word(random) : () => record(random);
  const content = Buffer.allocUnsafe(sizeBytes);
  for (let at = 0; at < sizeBytes; ) at += content.write(piece(), at, 'latin1');
  return content;
}

let words;

/** Few words are most of a text, as in any language. */
function word(random) {
  words ??= vocabulary();
  return words[Math.floor(VOCABULARY * random() ** 3)];
}

function vocabulary() {
  const random = randomFrom(1);
  const letters = 'eeeaaiioourtnslcdpmhgbfywkvxzjq';
  return Array.from({ length: VOCABULARY }, () => {
    const length = 2 + Math.floor(random() * 9);
    return `${Array.from({ length }, () => letters[Math.floor(random() * letters.length)]).join('')} `;
  });
}

function record(random) {
  const number = () => Math.floor(random() * 2 ** 32);
  return `{"id":"${number().toString(16)}","at":${number()},"amount":${(random() * 100).toFixed(2)},"state":"${word(random).trim()}"}\n`;
}

function packed(sizeBytes, random) {
  const key = Buffer.from(Array.from({ length: 16 }, () => Math.floor(random() * 256)));
  return createCipheriv('aes-128-ctr', key, Buffer.alloc(16)).update(Buffer.alloc(sizeBytes));
}
