-- What bench:steady wants to know of a run of wrk, as one line of JSON. There is no request function: wrk then sends the
-- same bytes again and again, which costs it the least.

function done(summary, latency, requests)
  io.write(string.format(
    'holdfast-wrk {"requests":%d,"durationUs":%d,"p50Us":%d,"p99Us":%d,"connect":%d,"read":%d,"write":%d,"timeout":%d,"status":%d}\n',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99),
    summary.errors.connect, summary.errors.read, summary.errors.write,
    summary.errors.timeout, summary.errors.status))
end
