#!/usr/bin/env python3
# Licensed under the Apache License, Version 2.0: see LICENSE.
"""Events with hundreds of subscriptions: deliveries are made after the commit, even if the process
is killed in between."""

import os
import sys
from collections import Counter

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
from rhtest import *  # noqa: E402,F403

TARGETS = 400       # the commit itself makes 64 of the deliveries
EVENTS = 6

receiver = Receiver()
httpd = Httpd(retry="1s 1s", config="RestHooksConcurrency 256", expect=[r"Unclean shutdown"],
              extra="""
    RestHooksEventType some.news "some"
    RestHooksMaxSubscriptions 1000
    RestHooksTimeout 20s
""")
database = httpd.database
expansion = "resthooks.expansion" if DB == "pgsql" else "resthooks_expansion"
app, api = httpd.api(role="app"), httpd.api()
for number in range(TARGETS):
    api.subscribe(f"{receiver.url}/wide/{number}", ["some.news"])


def publish(count):
    answer = app.post("/events", [{"type": "some.news", "data": {"n": n}} for n in range(count)])
    if answer.status != 202:
        raise RuntimeError(f"not published: {answer}")
    return answer.json["ids"]


def pairs():
    """Return how often each event arrived at each target."""
    return Counter((r.target, r.headers["webhook-id"]) for r in receiver.received()
                   if r.target.startswith("/wide/"))


def arrived(ids):
    seen = pairs()
    return sum((f"/wide/{number}", one) in seen for one in ids for number in range(TARGETS))


def waiting():
    """Return how many events are still being expanded."""
    return int(database.sql(f"SELECT count(*) FROM {expansion}")[0][0])


first = publish(1)
ok(wait_until(lambda: arrived(first) == TARGETS, 240, 0.2), "an event reaches all 400 targets")
is_(max(pairs().values()), 1, "each once")
ok(wait_until(lambda: waiting() == 0), "nothing is left to expand")

acknowledged, hit = [], 0
for _ in range(20):
    acknowledged += publish(EVENTS)
    httpd.kill()
    hit = waiting()
    httpd.start()
    if hit:
        break
ok(hit, f"httpd is killed right after the response, while {hit} events are expanded")
ok(wait_until(lambda: arrived(acknowledged) == TARGETS * len(acknowledged), 600, 0.5),
   f"after its restart, each of {len(acknowledged)} events reaches each target "
   f"({arrived(acknowledged)} of {TARGETS * len(acknowledged)})")
ok(wait_until(lambda: waiting() == 0), "nothing is left to expand then")
shown = api.get(f"/events/{acknowledged[0]}").json
is_(shown["id"], acknowledged[0], "the event is in the log")
done_testing()
