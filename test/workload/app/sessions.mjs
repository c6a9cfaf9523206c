import { randomBytes, randomInt } from 'node:crypto';

const MIB = 1 << 20;
const RECORD_BYTES = 1_024;
const WORDS = (
  'account address amount basket billing blanket bottle camera candle carpet chair charger coffee cotton country ' +
  'coupon currency customer cushion delivery discount drawer express garden gift handle invoice jacket kettle lamp ' +
  'leather linen mirror mobile notebook order oven parcel pending pillow postal promise quantity receipt refund ' +
  'returned saucer shelf shipped shipping silver sofa status stool table teapot ticket towel tracking vase voucher ' +
  'wallet warehouse window wooden woollen'
).split(' ');
const AGENTS = [
  'Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0',
  'Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Safari/605.1.15',
  'Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36',
];

/**
 * A session store of `sizeMib` MiB, as in-memory stores keep them: one JSON text per session, outside V8's heap.
 *
 * A record has ids, tokens and signatures from the system's random source, and prose, dates, prices and field names
 * as sessions have them; zlib's fastest level makes about a third of it. No zeros and no repeated page: what moves
 * is what the memory of such an app would be. `sizeMib` counts the texts only, 1 KiB each; Node's own memory, some 25 MiB
 * anonymous, comes on top. Buffers rather than strings: strings that live on make V8 grow its young generation, and
 * the garbage left in it would double what a checkpoint has to carry.
 */
export class SessionStore {
  #blocks = [];
  #timer;

  constructor(sizeMib) {
    for (let block = 0; block < sizeMib; block += 1) this.#blocks.push(fill(Buffer.allocUnsafeSlow(MIB)));
  }

  get sizeBytes() {
    return this.#blocks.length * MIB;
  }

  /** One of the records, or a fresh one of an empty store. */
  any() {
    return this.#blocks.length === 0 ? record() : this.#place().toString().trimEnd();
  }

  /** Rewrite records here and there, `mibPerS` MiB each second. */
  keepDirtying(mibPerS) {
    if (mibPerS <= 0 || this.#blocks.length === 0) return;
    this.#timer = setInterval(() => {
      for (let bytes = (mibPerS * MIB) / 20; bytes > 0; bytes -= RECORD_BYTES) put(this.#place(), record());
    }, 50);
  }

  close() {
    clearInterval(this.#timer);
  }

  /** Where some record is. */
  #place() {
    const start = randomInt(MIB / RECORD_BYTES) * RECORD_BYTES;
    return this.#blocks[randomInt(this.#blocks.length)].subarray(start, start + RECORD_BYTES);
  }
}

function fill(block) {
  for (let start = 0; start < block.length; start += RECORD_BYTES) {
    put(block.subarray(start, start + RECORD_BYTES), record());
  }
  return block;
}

/** The few records that are longer than their place lose their last words. */
function put(place, text) {
  place.fill(' ', place.write(text));
}

/** One session as JSON text, some 1,000 bytes. */
export function record() {
  // One draw for the whole record: a call of randomBytes costs more than the bytes.
  const random = randomBytes(160);
  const pick = (list, at) => list[random[at] % list.length];
  const price = (at) => (random.readUInt16LE(at) % 50_000) / 100;
  const when = (at) => new Date(1_700_000_000_000 + random.readUInt32LE(at) * 10).toISOString();
  return JSON.stringify({
    sid: random.toString('hex', 0, 16),
    csrfToken: random.toString('base64url', 16, 40),
    signature: random.toString('base64url', 40, 72),
    user: { id: random.readUInt32LE(72), locale: 'en-GB', roles: ['customer'], agent: pick(AGENTS, 76) },
    cookie: { originalMaxAge: 86_400_000, expires: when(77), httpOnly: true, secure: true, path: '/' },
    cart: Array.from({ length: 3 }, (_, line) => ({
      sku: random.toString('hex', 81 + line * 8, 87 + line * 8),
      title: `${pick(WORDS, 110 + line)} ${pick(WORDS, 113 + line)} ${pick(WORDS, 116 + line)}`,
      quantity: 1 + (random[119 + line] % 4),
      price: price(122 + line * 2),
      currency: 'EUR',
    })),
    visited: Array.from({ length: 4 }, (_, page) => ({
      path: `/${pick(WORDS, 128 + page)}/${pick(WORDS, 132 + page)}`,
      at: when(136 + page * 4),
    })),
    note: Array.from({ length: 2 }, (_, word) => pick(WORDS, 152 + word)).join(' '),
  });
}
