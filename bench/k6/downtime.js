// Load and downtime seen by k6: see docs/downtime.md. Needs k6 (https://k6.io); nothing else in this project does.
//
//   npm run demo -- --keep                          # in one terminal; it prints the gateway's address
//   k6 run -e URL=http://ADDRESS:8080 bench/k6/downtime.js      # in another; then move the app about
import { check } from 'k6';
import http from 'k6/http';
import { Counter } from 'k6/metrics';

const url = __ENV.URL || 'http://127.0.0.1:8080';
const rate = Number(__ENV.RATE || 1000);
const duration = __ENV.DURATION || '60s';
// What a user may wait at most while the app moves.
const blinkMs = Number(__ENV.BLINK_MS || 1000);

const backwards = new Counter('counter_went_backwards');

export const options = {
  scenarios: {
    // An open model: k6 begins requests at this rate, however long the answers take.
    visits: {
      executor: 'constant-arrival-rate',
      rate,
      timeUnit: '1s',
      duration,
      preAllocatedVUs: Math.ceil(rate / 5),
      maxVUs: rate * 2,
    },
  },
  thresholds: {
    // Nobody gets an error, and no arrival is left out for want of a VU.
    http_req_failed: ['rate==0'],
    checks: ['rate==1'],
    dropped_iterations: ['count==0'],
    // Nothing in memory is lost.
    counter_went_backwards: ['count==0'],
    // Nobody waits longer than a blink.
    http_req_duration: ['p(50)<50', `max<${blinkMs}`],
  },
};

const run = Math.random().toString(36).slice(2, 8);
let visits = 0;
let lastCount = 0;

export default function () {
  visits += 1;
  const params = {
    headers: { 'x-load-id': `k6-${run}-${__VU}-${visits}`, cookie: `session=k6-${run}-${__VU}` },
    timeout: '30s',
  };
  const response =
    visits % 3 === 0 ? http.post(`${url}/visit`, 'x'.repeat(1500), params) : http.get(`${url}/visit`, params);
  const good = check(response, { 'answered 200': (r) => r.status === 200 });
  if (!good) return;
  // One VU is one user who makes one request at a time: the app's counter for it can only rise by one.
  const count = response.json('count');
  if (count !== lastCount + 1) backwards.add(1);
  lastCount = count;
}
