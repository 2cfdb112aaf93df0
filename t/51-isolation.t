#!/usr/bin/env python3
# Licensed under the Apache License, Version 2.0: see LICENSE.
"""No target harms another: failing ones, dead ones, slow ones, and the limits of each."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
from rhtest import *  # noqa: E402,F403

BAD = ["/never", "/drip?s=1", "/flood", "/headerbomb", "/reset", "/eof", "/garbage", "/halfclose",
       "/huge?mb=30", "/slow?s=30"]
BACKLOG = 3000
TYPES = "\n".join(f'RestHooksEventType {name} "{name}"' for name in
                  ("all.news", "dead.news", "limit.news", "rate.news", "wait.news", "sick.news",
                   "well.news"))

receiver = Receiver()
httpd = Httpd(retry="20s 20s", extra=f"""
    {TYPES}
    RestHooksTimeout 30s
    RestHooksConnectTimeout 5s
    RestHooksEndpointConcurrency 4
""", config="RestHooksConcurrency 256")
api, app = httpd.api(), httpd.api(role="app")


def publish(kind, count, tenant="acme"):
    """Publish a number of events; return their ids in order."""
    ids = []
    for first in range(0, count, 500):
        answer = app.post("/events", [{"type": kind, "tenant": tenant, "data": {"number": n}}
                                      for n in range(first, min(first + 500, count))])
        if answer.status != 202:
            raise RuntimeError(f"not published: {answer}")
        ids += answer.json["ids"]
    return ids


def arrived(path):
    return [json.loads(r.body)[0]["number"] for r in receiver.received(path)]


# Every kind of bad target at once, each with more events than slots, beside a good one.

good = api.subscribe(receiver.url + "/good", ["all.news"])
bad = [api.subscribe(receiver.url + path, ["all.news"]) for path in BAD]
bad.append(api.subscribe(f"http://127.0.0.1:{free_port()}/", ["all.news"]))
bad.append(api.subscribe("http://nowhere.invalid/", ["all.news"]))
began = time.monotonic()
publish("all.news", 100)
got = receiver.wait_for(100, "/good", 90)
is_(sorted(arrived("/good")), list(range(100)),
    "a good target gets its events while those to bad ones hang")
publish("well.news", 1)
again = api.subscribe(receiver.url + "/newcomer", ["well.news"])
publish("well.news", 20)
is_(len(receiver.wait_for(20, "/newcomer", 90)), 20, "so does a new target")
# Four slots, which are free again after each time-out
most = 4 * (2 + int(time.monotonic() - began) // 30)
ok(all(len(receiver.received(path.split("?")[0])) <= most for path in ("/never", "/slow", "/drip")),
   "a hanging target holds no more than its maximum of slots")

# A dead target with a large backlog

dead = api.subscribe(f"http://127.0.0.1:{free_port()}/", ["dead.news"])
other = httpd.api("globex").subscribe(receiver.url + "/other", ["well.news"])
publish("dead.news", BACKLOG)
began = time.monotonic()
for tenant in ("acme", "globex"):
    publish("well.news", 50, tenant)
ok(len(receiver.wait_for(70, "/newcomer", 90)) == 70 and
   len(receiver.wait_for(50, "/other", 90)) == 50,
   f"next to {BACKLOG} deliveries to a dead target, a good one gets its own")
diag(f"it gets them in {time.monotonic() - began:.1f} s")

# The breaker: a dead target is probed now and then instead of being attempted every time.


def attempts(subscription):
    prefix = "resthooks." if DB == "pgsql" else "resthooks_"
    return sum(int(httpd.database.sql(f"SELECT coalesce(sum(attempt_count), 0) FROM {prefix}{table} "
                                      f"WHERE subscription_id = '{subscription['id']}'")[0][0])
               for table in ("queue", "delivery"))


before = attempts(dead)
ok(before < 100, f"a dead target is seldom attempted ({before} attempts)")

revived = {"at": None}
receiver.on("/sick", lambda received, number: (200,) if revived["at"] else (500,))
sick = api.subscribe(receiver.url + "/sick", ["sick.news"])
publish("sick.news", 300)
receiver.wait_for(10, "/sick")
time.sleep(5)
tried = len(receiver.received("/sick"))
ok(10 <= tried <= 40, f"a target that responds with 500 is probed ({tried} attempts)")
revived["at"] = time.time()
ok(wait_until(lambda: len({r.headers.get("webhook-id") for r in receiver.received("/sick")
                           if r.time >= revived["at"]}) >= 280, 180),
   "it gets what waits once it is well")

# Concurrency of one subscription

narrow = Receiver()
api.subscribe(narrow.url + "/slow?s=0.3", ["limit.news"])
publish("limit.news", 24)
is_(len(narrow.wait_for(24, "/slow", 90)), 24, "a slow target gets its events")
ok(2 <= narrow.open_most <= 4,
   f"at most as many at a time as RestHooksEndpointConcurrency says ({narrow.open_most})")

# Rate.

paced = api.subscribe(receiver.url + "/paced", ["rate.news"], rate_limit=5)
publish("rate.news", 40)
got = receiver.wait_for(40, "/paced", 120)
is_(len(got), 40, "a subscription with a rate limit gets all of its events")
stamps = [r.time for r in got]
most = max(sum(1 for t in stamps if begin <= t < begin + 4) for begin in stamps)
took = stamps[-1] - stamps[0]
ok(most <= 5 * 4 + 12, f"never much faster than the limit ({most} within 4 s, the limit is 20)")
ok(3 <= took <= 80, f"not much slower either ({took:.1f} s for 40, 8 s by the limit)")

# Retry-After.

told = []


def busy_once(received, number):
    told.append(received.time)
    return (503, [("Retry-After", "3")]) if number == 1 else (200,)


receiver.on("/busy", busy_once)
busy = api.subscribe(receiver.url + "/busy", ["wait.news"])
publish("wait.news", 1)
receiver.wait_for(1, "/busy")
wait_until(lambda: api.deliveries(busy["id"])[0]["attempt_count"] == 1)
publish("wait.news", 10)
got = receiver.wait_for(12, "/busy", 120)
is_(len(got), 12, "a target that asks for a pause gets its events")
ok(min(told[1:]) - told[0] >= 2.9,
   f"all others arrive after the pause ({min(told[1:]) - told[0]:.1f} s)")
ok(max(told[1:]) - told[0] < 90, "they arrive soon after it")
for subscription in bad + [dead]:
    api.delete("/subscriptions/" + subscription["id"])
ok(wait_until(lambda: not api.get("/deliveries?state=pending").json, 180, 0.3),
   "deliveries to deleted subscriptions are cancelled")
done_testing()
