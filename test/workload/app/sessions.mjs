import { randomBytes, randomInt } from 'node:crypto';

const MIB = 1 << 20;
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
 * A session store of `sizeMib` MiB, as web frameworks keep them in memory: one JSON text per session, by session id.
 *
 * A record has ids, tokens and signatures from the system's random source, and prose, dates, prices and field names
 * as sessions have them; zlib's fastest level makes about a third of it. No zeros and no repeated page: what moves
 * is what a heap of such an app would be. `sizeMib` counts the texts only; the map and Node's own memory (some
 * 15 MiB anonymous) come on top.
 */
export class SessionStore {
  #records = [];
  #sizeBytes = 0;
  #timer;

  constructor(sizeMib) {
    while (this.#sizeBytes < sizeMib * MIB) {
      const text = record();
      this.#records.push(text);
      this.#sizeBytes += text.length;
    }
  }

  get sizeBytes() {
    return this.#sizeBytes;
  }

  get records() {
    return this.#records.length;
  }

  /** One of the records, or a fresh one of an empty store. */
  any() {
    return this.#records.length === 0 ? record() : this.#records[randomInt(this.#records.length)];
  }

  /** Rewrite records here and there, `mibPerS` MiB each second. */
  keepDirtying(mibPerS) {
    if (mibPerS <= 0 || this.#records.length === 0) return;
    this.#timer = setInterval(() => {
      for (let bytes = (mibPerS * MIB) / 20; bytes > 0; ) bytes -= this.#rewriteOne();
    }, 50);
  }

  close() {
    clearInterval(this.#timer);
  }

  #rewriteOne() {
    const at = randomInt(this.#records.length);
    const text = record();
    this.#sizeBytes += text.length - this.#records[at].length;
    this.#records[at] = text;
    return text.length;
  }
}

/** One session as JSON text, some 1.2 KB. */
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
    note: Array.from({ length: 8 }, (_, word) => pick(WORDS, 152 + word)).join(' '),
  });
}
