-- Load for bench:downtime, by wrk: pages that change nothing in the app, at a rate set from outside.
-- wrk itself is a closed loop and goes as fast as it can; `delay` makes each connection wait between its requests, so
-- that the load takes the app's strength but not the whole machine's. Latencies are not taken from here: see prober.
--   wrk -t1 -c16 -d10s -s page.lua http://ADDRESS:8080/page -- DELAY_MS

local delay_ms = 16

function init(args)
  if args[1] then delay_ms = tonumber(args[1]) end
end

function delay()
  return math.random(math.floor(delay_ms * 0.5), math.ceil(delay_ms * 1.5))
end

function done(summary, latency, requests)
  io.write(string.format(
    'holdfast-wrk {"requests":%d,"connect":%d,"read":%d,"write":%d,"timeout":%d,"status":%d}\n',
    summary.requests, summary.errors.connect, summary.errors.read, summary.errors.write,
    summary.errors.timeout, summary.errors.status))
end
