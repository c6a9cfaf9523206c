import { randomFillSync } from 'node:crypto';

export const RECORD_BYTES = 1_024;
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
const DAYS = Array.from({ length: 500 }, (_, day) =>
  new Date(1_700_000_000_000 + day * 86_400_000).toISOString().slice(0, 11),
);
const TWO_DIGITS = Array.from({ length: 100 }, (_, n) => String(n).padStart(2, '0'));

/** Bytes of the system's random source, many at a time: each call of it costs more than the bytes. */
const pool = Buffer.alloc(1 << 16);
let used = pool.length;
function take(count) {
  if (used + count > pool.length) {
    randomFillSync(pool);
    used = 0;
  }
  used += count;
  return used - count;
}

const hex = (bytes) => pool.toString('hex', take(bytes), used);
const base64url = (bytes) => pool.toString('base64url', take(bytes), used);
const number32 = () => pool.readUInt32LE(take(4));
/** A number below `most`, which is far below 2³². */
const below = (most) => number32() % most;
const pick = (list) => list[pool[take(1)] % list.length];

function when() {
  const day = DAYS[below(DAYS.length)];
  const at = below(86_400_000);
  const [hours, minutes] = [Math.floor(at / 3_600_000), Math.floor(at / 60_000) % 60];
  const time = `${TWO_DIGITS[hours]}:${TWO_DIGITS[minutes]}:${TWO_DIGITS[Math.floor(at / 1000) % 60]}`;
  return `${day}${time}.${String(at % 1000).padStart(3, '0')}Z`;
}

const bought = () =>
  `{"sku":"${hex(6)}","title":"${pick(WORDS)} ${pick(WORDS)} ${pick(WORDS)}",` +
  `"quantity":${1 + below(4)},"price":${below(50_000) / 100},"currency":"EUR"}`;
const visited = () => `{"path":"/${pick(WORDS)}/${pick(WORDS)}","at":"${when()}"}`;

/** One session as JSON text, some 1,000 bytes. By hand: JSON.stringify of an object takes five times as long. */
export function record() {
  return (
    `{"sid":"${hex(16)}","csrfToken":"${base64url(24)}","signature":"${base64url(32)}",` +
    `"user":{"id":${number32()},"locale":"en-GB","roles":["customer"],"agent":"${pick(AGENTS)}"},` +
    `"cookie":{"originalMaxAge":86400000,"expires":"${when()}","httpOnly":true,"secure":true,"path":"/"},` +
    `"cart":[${bought()},${bought()},${bought()}],` +
    `"visited":[${visited()},${visited()},${visited()},${visited()}],"note":"${pick(WORDS)} ${pick(WORDS)}"}`
  );
}

const TOKEN_AT = '{"sid":"","csrfToken":"'.length + 32;

/** What memory can be filled with: functions that write one record into its place. */
export const fillings = {
  /** Records that are longer than their place lose their last words. */
  sessions(place) {
    place.fill(' ', place.latin1Write(record()));
  },
  /** What cannot be compressed, as caches of pictures or of ciphertext are. */
  random: randomFillSync,
};

/** Give the session in `place` a new token, as a visit does. */
export function touch(place) {
  place.latin1Write(base64url(24), TOKEN_AT);
}
