import t from 'tap';
import { type ConfigFinding, checkHaproxyConfig } from '../../haproxy/config-check.ts';
import { type ConfigTextOptions, haproxyConfig } from '../../haproxy/config-text.ts';

const OPTIONS: ConfigTextOptions = {
  bind: ':80',
  gate: '10.0.0.1:8080',
  map: '/etc/haproxy/holdfast.map',
  statsSocket: '/run/haproxy/holdfast.sock',
  sockets: ['/run/haproxy-master.sock'],
  apps: [
    { name: 'shop', matches: [{ host: 'shop.example.com' }, { host: '*.shops.example.com', path: '/a' }] },
    { name: 'blog', matches: [{ path: '/blog/' }, { host: 'shop.example.com', path: '/blog' }] },
  ],
  longestHoldMs: 30_000,
  timeouts: {
    connectMs: 1_000,
    serverMs: 95_000,
    clientMs: 60_000,
    requestHeadMs: 5_000,
    keepAliveMs: 5_000,
  },
};
const PRINTED = haproxyConfig(OPTIONS);

const check = (text: string, frontend?: string, options = OPTIONS) =>
  checkHaproxyConfig(text, options, frontend);
const without = (text: string, line: number) =>
  text
    .split('\n')
    .filter((_, i) => i !== line - 1)
    .join('\n');
const needed = (findings: readonly ConfigFinding[]) => findings.filter(({ weight }) => weight === 'required');

/** The configuration as it is once somebody did what a finding says. */
function mended(text: string, { kind, line, lines }: ConfigFinding): string {
  const all = text.split('\n');
  all.splice(line - 1, kind === 'wrong' ? 1 : 0, ...lines);
  return all.join('\n');
}

t.test('what is printed lacks nothing', async (t) => {
  t.same(check(PRINTED), []);
});

t.test('of what is printed, each line that is taken away is named, with where it belongs', async (t) => {
  const lines = PRINTED.split('\n').map((text, i) => ({ text, number: i + 1 }));
  const meant = lines.filter(({ text }) => text.trim() !== '' && !text.trim().startsWith('#'));
  t.ok(meant.length > 30);
  let section = '';
  for (const { text, number } of meant) {
    const isHeader = !text.startsWith(' ');
    if (isHeader) section = text;
    const rest = without(PRINTED, number);
    const findings = check(rest);
    t.match(
      findings.map((one) => ({ kind: one.kind, section: one.section, line: one.lines[0] })),
      [{ kind: 'missing', section, line: text.trim() }],
      `${section}: ${text.trim()}`,
    );
    t.equal(findings.length, 1, 'and nothing else');
    const [finding] = findings as [ConfigFinding];
    if (!isHeader) t.ok(finding.line <= number, `line ${finding.line} is before line ${number}`);
    t.same(check(mended(rest, finding)), [], 'with it where it is said to belong, nothing is missing');
  }
});

const REAL = `
global
	log /dev/log	local0
	stats socket /run/haproxy/admin.sock mode 660 level admin expose-fd listeners
	setenv MAP /etc/haproxy/holdfast.map
	hard-stop-after 10m

defaults base
	log	global
	mode	http
	option httplog
	timeout connect 5s
	timeout client 1m
	timeout server 1m
	timeout http-request 10s
	timeout http-keep-alive 10s
	timeout check 5s
	timeout tunnel 1h
	option idle-close-on-response
	option redispatch

defaults
	mode tcp
	timeout client 1h
	timeout connect 1s
	timeout server 1h

listen stats from base
	bind :8404
	stats enable

frontend ssh
	bind :2222
	default_backend ssh

frontend plain from base
	bind :80
	http-request redirect scheme https

frontend web from base # where users come in
	bind :443 ssl crt /etc/haproxy/certs alpn h2,http/1.1
	option forwardfor
	http-request set-header X-Forwarded-Proto https if { ssl_fc }
	http-request set-header x-forwarded-proto http unless { ssl_fc }
	http-request set-header X-Forwarded-Host "%[req.hdr(host)]"
	http-request del-header Forwarded
	acl is_shop hdr(host) -i shop.example.com
	use_backend holdfast_app_shop if is_shop { str(shop),map("$\{MAP}",gate) -m str direct }
	http-request set-var(txn.app) str(blog) if { path_beg /blog }
	use_backend "holdfast_app_%[var(txn.app)]" if { var(txn.app),map("$\{MAP}",gate) -m str direct }
	use_backend holdfast_gate if is_shop
	use_backend holdfast_gate if { var(txn.app) -m found }
	default_backend old

backend ssh
	server ssh 10.0.0.9:22

backend old from base
	server old 10.0.0.9:80

backend holdfast_gate from base
	server gate gateway.internal:8080

backend holdfast_app_shop from base
	option httpchk GET /health
	server app 127.0.0.1:1 check inter 1s disabled
	server gate "$\{GATE}" backup

backend holdfast_app_blog from base
	server app 127.0.0.1:1 disabled check inter 1s
	server gate 10.0.0.1:8080 backup
`.replaceAll('$\\{', '${');

t.test('a configuration that has grown by itself needs nothing that it says in its own way', async (t) => {
  const findings = check(REAL);
  t.same(needed(findings), []);
  t.equal(findings.length, 6, 'how the apps are found is not the printed way');
  t.match(findings, Array(6).fill({ section: 'frontend web', lines: [/^use_backend holdfast_/] }));
});

t.test('what is wrong is told with its line, and with what should stand there', async (t) => {
  const cases: { from: string | RegExp; to: string; section: string; line?: RegExp; why: RegExp }[] = [
    {
      from: 'level admin expose-fd',
      to: 'level operator expose-fd',
      section: 'global',
      line: /^stats socket \/run\/haproxy\/admin.sock mode 660 expose-fd listeners level admin$/,
      why: /may only look/,
    },
    {
      from: 'timeout server 1m',
      to: 'timeout server 30s',
      section: 'backend holdfast_gate',
      line: /^timeout server 95000ms$/,
      why: /held/,
    },
    {
      from: /map\("[^"]*"/,
      to: 'map(/etc/other.map',
      section: 'frontend web',
      line: /^use_backend/,
      why: /holdfast\.map/,
    },
    {
      from: 'is_shop { str(shop),map("$' + '{MAP}",gate) -m str direct }',
      to: 'is_shop',
      section: 'frontend web',
      line: /^use_backend holdfast_app_shop if is_shop \{ str\(shop\),map\(.*holdfast.map,gate\) -m str direct \}$/,
      why: /holdfast\.map/,
    },
    {
      from: 'use_backend holdfast_gate if is_shop\n',
      to: '',
      section: 'frontend web',
      line: /^use_backend holdfast_gate if is_shop$/,
      why: /404/,
    },
    {
      from: 'use_backend holdfast_gate if { var(txn.app) -m found }\n',
      to: '',
      section: 'frontend web',
      line: /^use_backend holdfast_gate if \{ var\(txn.app\) -m found \}$/,
      why: /404/,
    },
    {
      from: '"$' + '{GATE}" backup',
      to: '10.0.0.1:8080',
      section: 'backend holdfast_app_shop',
      line: / backup$/,
      why: /It is for when/,
    },
    {
      from: 'gateway.internal:8080',
      to: '10.0.0.1:8081',
      section: 'backend holdfast_gate',
      line: /10.0.0.1:8080$/,
      why: /10.0.0.1:8080/,
    },
    {
      from: 'disabled check inter 1s',
      to: 'disabled',
      section: 'backend holdfast_app_blog',
      line: / check /,
      why: /check/,
    },
    {
      from: 'option httpchk GET /health',
      to: 'server-template web 3 10.0.0.7:80',
      section: 'backend holdfast_app_shop',
      why: /whatever Holdfast does/,
    },
  ];
  const options = { ...OPTIONS, sockets: ['/run/haproxy/admin.sock'] };
  for (const { from, to, section, line, why } of cases) {
    const findings = needed(check(REAL.replace(from, to), undefined, options));
    const lines = line === undefined ? [] : [line];
    t.match(findings[0], { section, lines, why }, to);
    t.equal(findings[0]?.lines.length, lines.length);
  }
});

t.test('a line that others share is not changed under their feet', async (t) => {
  const shared = needed(check(REAL.replace('timeout server 1m', 'timeout server 30s')));
  t.match(
    shared.map(({ section }) => section),
    ['backend holdfast_gate', 'backend holdfast_app_shop', 'backend holdfast_app_blog'],
  );
  const own = needed(check(PRINTED.replace('timeout server 95000ms', 'timeout server 30s')));
  t.match(own, [{ section: 'defaults', kind: 'wrong', found: 'timeout server 30s' }]);
});

t.test(
  'an option that is taken back, rules for one way only, and lines in a wrong order are told',
  async (t) => {
    const taken = PRINTED.replace(/(frontend holdfast\n)/, '$1  no option idle-close-on-response\n');
    t.match(check(taken), [{ kind: 'wrong', weight: 'advised', found: 'no option idle-close-on-response' }]);
    const oneWay = PRINTED.replace(/(backend holdfast_app_shop\n)/, '$1  http-request set-path /x%[path]\n');
    t.match(check(oneWay), [{ kind: 'wrong', weight: 'advised', lines: [], why: /frontend/ }]);
    const lines = PRINTED.split('\n');
    const first = lines.findIndex((line) => line.includes('use_backend holdfast_app_blog'));
    lines.splice(first + 3, 0, ...lines.splice(first, 1));
    t.match(check(lines.join('\n')), [{ kind: 'wrong', section: 'frontend holdfast', why: /before line/ }]);
    const harmless = PRINTED.split('\n');
    const third = harmless.findIndex((line) => line.includes('.shops.example.com'));
    harmless.splice(third + 1, 0, ...harmless.splice(third, 1));
    t.same(check(harmless.join('\n')), [], 'which of two comes first that never meet does not matter');
    const early = PRINTED.replace('default_backend holdfast_gate', 'default_backend old').replace(
      /( {2}use_backend holdfast_app_shop if .*shops.*\n)/,
      (line) => line.replace(/holdfast_app_shop(.*) \{ str.*/, 'holdfast_gate$1') + line,
    );
    t.match(check(early), [{ kind: 'wrong', section: 'frontend holdfast', why: /after the direct way/ }]);
  },
);

t.test('beside an application of your own, all that is to go to the gate is said', async (t) => {
  const own = PRINTED.replace('default_backend holdfast_gate', 'default_backend old');
  const [finding, ...others] = check(own) as [ConfigFinding];
  t.same(others, []);
  t.match(finding.lines, [
    /^use_backend holdfast_gate if \{.* \.shops.* \/a\/ \}$/,
    /^use_backend holdfast_gate if \{ path,concat\(\/\) -m beg \/blog\/ \}$/,
  ]);
  t.same(check(mended(own, finding)), []);
});

t.test('which frontend is meant is asked when it cannot be seen', async (t) => {
  const text = 'defaults\n  mode http\nfrontend one\n  bind :80\nfrontend two\n  bind :81\n';
  t.throws(() => check(text), { code: 'HAPROXY_FRONTEND_UNCLEAR', mend: /one, two/ });
  t.throws(() => check(text, 'three'), { code: 'HAPROXY_FRONTEND_UNCLEAR' });
  const findings = check(text, 'two').filter(({ section }) => section.startsWith('frontend'));
  t.ok(findings.length > 5);
  t.ok(findings.every(({ section, line }) => section === 'frontend two' && line >= 6));
});

t.test('an empty configuration lacks every section', async (t) => {
  t.same(
    check('').map(({ section }) => section),
    [
      'global',
      'frontend holdfast',
      'backend holdfast_gate',
      'backend holdfast_app_shop',
      'backend holdfast_app_blog',
    ],
  );
});

t.test('the gate is told of clients in the way that it expects', async (t) => {
  const options = { ...OPTIONS, proxyProtocol: true };
  const told = haproxyConfig(options);
  t.same(check(told, undefined, options), []);
  t.match(told, / {2}server gate 10.0.0.1:8080 send-proxy-v2-ssl backup\n/);
  const plain = told.replace('send-proxy-v2-ssl', 'send-proxy-v2 check');
  t.same(check(plain, undefined, options), [], 'without its word on TLS, too');
  const first = told.replace('send-proxy-v2-ssl', 'send-proxy');
  t.match(check(first, undefined, options), [
    { kind: 'wrong', lines: [/send-proxy-v2-ssl$/], why: /expects/ },
  ]);
  t.match(check(told), Array(3).fill({ kind: 'wrong', lines: [/^server gate 10.0.0.1:8080( backup)?$/] }));
});
