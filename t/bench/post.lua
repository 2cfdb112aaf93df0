-- Licensed under the Apache License, Version 2.0: see LICENSE.
-- wrk: POSTs of one body. RH_BODY names its file, RH_HEADERS holds "Name: value" lines, RH_DELAY
-- is the mean pause of a connection between two requests, in milliseconds. The last line that is
-- printed is JSON.
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
local file = assert(io.open(os.getenv("RH_BODY")))
wrk.body = file:read("*a")
file:close()
for name, value in (os.getenv("RH_HEADERS") or ""):gmatch("([^:\n]+): ([^\n]*)") do
    wrk.headers[name] = value
end

-- Each request is about another resource: the bodies differ in their numbers that begin with 4711,
-- also those of wrk's threads, which would send the same ones at the same time.
local threads = 0
function setup(thread)
    threads = threads + 1
    thread:set("number_of_thread", threads)
end

local turn, requests = 0, {}
function init()
    for i = 1, 64 do
        local number = 0
        local body = wrk.body:gsub("4711", function()
            number = number + 1
            return string.format("4711%d%02d%03d", number_of_thread, i, number)
        end)
        requests[i] = wrk.format(nil, nil, nil, body)
    end
end

function request()
    turn = turn % #requests + 1
    return requests[turn]
end

local mean = tonumber(os.getenv("RH_DELAY") or "0")
if mean > 0 then
    function delay()
        return math.floor(mean * 2 * math.random() + 0.5)
    end
end

function done(summary, latency)
    local e = summary.errors
    print(string.format('{"requests":%d,"us":%d,"refused":%d,"broken":%d,"p50":%d,"p99":%d}',
        summary.requests, summary.duration, e.status, e.connect + e.read + e.write + e.timeout,
        latency:percentile(50), latency:percentile(99)))
end
