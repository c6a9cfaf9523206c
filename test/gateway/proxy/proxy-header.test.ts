import { randomBytes } from 'node:crypto';
import t from 'tap';
import { readProxyHeader } from '../../../gateway/proxy/proxy-header.ts';
import { ipv6, proxyHeader, typeLengthValue } from './proxy-headers.ts';

const TLS = typeLengthValue(0x20, Buffer.from([1, 0, 0, 0, 0]));
const NO_TLS = typeLengthValue(0x20, Buffer.from([0, 0, 0, 0, 1]));
const AUTHORITY = typeLengthValue(0x02, Buffer.from('shop.example'));

t.test('the client’s address, and whether it came by TLS', async (t) => {
  const cases: [string, Buffer, string | undefined, boolean][] = [
    ['IPv4', proxyHeader(), '192.0.2.7', false],
    [
      'with TLS, behind something else',
      proxyHeader({ added: Buffer.concat([AUTHORITY, TLS]) }),
      '192.0.2.7',
      true,
    ],
    ['told to be without TLS', proxyHeader({ added: NO_TLS }), '192.0.2.7', false],
    [
      'IPv6',
      proxyHeader({ family: 0x21, rest: ipv6('20010db8000000000000000000000001') }),
      '2001:db8::1',
      false,
    ],
    [
      'IPv6, all of it',
      proxyHeader({ family: 0x21, rest: ipv6('20010db8000100020003000400050006') }),
      '2001:db8:1:2:3:4:5:6',
      false,
    ],
    [
      'IPv4 in IPv6',
      proxyHeader({ family: 0x21, rest: ipv6('00000000000000000000ffffc0000207') }),
      '192.0.2.7',
      false,
    ],
    ['a Unix socket', proxyHeader({ family: 0x31, rest: Buffer.alloc(216, 0x61) }), undefined, false],
    ['a client unknown', proxyHeader({ family: 0, rest: Buffer.alloc(0) }), undefined, false],
    ['of the sender itself', proxyHeader({ command: 0x20 }), undefined, false],
    [
      'of the sender, with what makes no sense',
      proxyHeader({ command: 0x20, family: 0xff, rest: Buffer.from([1]) }),
      undefined,
      false,
    ],
    [
      'of the longest that is taken',
      proxyHeader({ added: typeLengthValue(4, Buffer.alloc(4_065)) }),
      '192.0.2.7',
      false,
    ],
  ];
  for (const [name, bytes, address, isTls] of cases) {
    t.same(readProxyHeader(bytes), { lengthBytes: bytes.length, address, isTls }, name);
    const more = Buffer.concat([bytes, Buffer.from('GET / HTTP/1.1')]);
    t.same(readProxyHeader(more)?.lengthBytes, bytes.length, `${name}, and more behind it`);
  }
});

t.test('cut anywhere, it is waited for', async (t) => {
  const whole = proxyHeader({ added: Buffer.concat([AUTHORITY, TLS]) });
  for (let end = 0; end < whole.length; end += 1) {
    if (readProxyHeader(whole.subarray(0, end)) !== undefined) t.fail(`read from ${end} bytes`);
  }
  t.match(readProxyHeader(whole), { address: '192.0.2.7', isTls: true });
});

t.test('what is no header is refused as soon as that can be told', async (t) => {
  const cases: [string, Buffer, RegExp][] = [
    ['version 1', Buffer.from('PROXY TCP4 192.0.2.7 127.0.0.1 1 2\r\n'), /of version 1/],
    ['plain HTTP', Buffer.from('G'), /something else/],
    ['a signature that goes wrong at its end', proxyHeader().fill(0x0b, 11, 12), /something else/],
    ['version 3', proxyHeader({ command: 0x31 }).subarray(0, 16), /0x31/],
    ['an unknown command', proxyHeader({ command: 0x22 }).subarray(0, 16), /0x22/],
    ['datagrams', proxyHeader({ family: 0x12 }), /0x12/],
    ['too long', proxyHeader({ length: 4_081 }).subarray(0, 16), /4097 bytes/],
    ['too short for its addresses', proxyHeader({ rest: Buffer.alloc(11) }), /too short/],
    ['an addition without a length', proxyHeader({ added: Buffer.from([4, 0]) }), /beyond its end/],
    [
      'an addition beyond the end',
      proxyHeader({ added: typeLengthValue(4, Buffer.alloc(2), 3) }),
      /beyond its end/,
    ],
  ];
  for (const [name, bytes, message] of cases) {
    t.throws(() => readProxyHeader(bytes), { code: 'PROXY_HEADER_INVALID', message }, name);
  }
  const versionOne = () => readProxyHeader(Buffer.from('PROXY '));
  t.throws(versionOne, { code: 'PROXY_HEADER_INVALID', mend: /send-proxy-v2/ });
});

t.test('whatever comes, it is a header, not yet one, or refused', async (t) => {
  const begin = proxyHeader().subarray(0, 12);
  for (let n = 0; n < 2_000; n += 1) {
    const command = Buffer.from([0x20 + (n % 2), [0x00, 0x11, 0x21, 0x31][n % 4] ?? 0, 0]);
    const bytes = Buffer.concat([begin, command, randomBytes(n % 300)]);
    try {
      const header = readProxyHeader(bytes);
      if ((header?.lengthBytes ?? 0) > bytes.length) t.fail(bytes.toString('hex'));
    } catch (error) {
      if ((error as { code?: string }).code !== 'PROXY_HEADER_INVALID') t.fail(bytes.toString('hex'));
    }
  }
});
