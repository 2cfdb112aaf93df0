#!/usr/bin/env python3
# Licensed under the Apache License, Version 2.0: see LICENSE.
"""No tenant harms another: two tenants, one of which has a hundred slow targets."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
from rhtest import *  # noqa: E402,F403

SLOW = 20       # how long each of the hostile tenant's targets takes, in seconds
TARGETS = 100
SOON = 10       # how long the other tenant may wait: half of one slow response

slow, receiver = Receiver(), Receiver()
httpd = Httpd(retry="20s 20s", config="RestHooksConcurrency 64", extra="""
    RestHooksEventType some.news "some"
    RestHooksTimeout 60s
""")
hostile, other, app = httpd.api("hostile"), httpd.api("other"), httpd.api(role="app")


def publish(tenant, count):
    answer = app.post("/events", [{"type": "some.news", "tenant": tenant, "data": {"number": n}}
                                  for n in range(count)])
    if answer.status != 202:
        raise RuntimeError(f"not published: {answer}")
    return answer.json["ids"]


def wait_of(tenant_api, path):
    """Subscribe a new target and publish one event; return the seconds until it arrives."""
    tenant_api.subscribe(receiver.url + path, ["some.news"])
    began = time.monotonic()
    published.extend(publish("other", 1))
    return time.monotonic() - began if receiver.wait_for(1, path, 60) else 60


published = []
for number in range(TARGETS):
    hostile.subscribe(f"{slow.url}/slow?s={SLOW}&target={number}", ["some.news"])
publish("hostile", 2)
ok(wait_until(lambda: slow.count("/slow") >= 32, 60, 0.05),
   "a hostile tenant's targets take half of the slots, and hang")
waits = [wait_of(other, "/first")]
ok(waits[0] < SOON, f"another tenant's new subscription gets its first event ({waits[0]:.1f} s)")
ok(wait_until(lambda: any(r.answered for r in slow.received("/slow")), 120),
   "some of the hostile tenant's targets have responded, late")
publish("hostile", 3)
for number in range(3):
    waits.append(wait_of(other, f"/later{number}"))
ok(max(waits) < SOON, "so do new ones when the slow targets are known and more deliveries wait "
   f"for them ({max(waits):.1f} s)")

# Every event that was acknowledged to the other tenant arrived, once per subscription.

expected = {"/first": published, "/later0": published[1:], "/later1": published[2:],
            "/later2": published[3:]}
for path, ids in expected.items():
    receiver.wait_for(len(ids), path)
    is_(sorted(r.headers["webhook-id"] for r in receiver.received(path)), sorted(ids),
        f"{path} got each event once")
for subscription in hostile.get(f"/subscriptions?limit={TARGETS}").json:
    hostile.delete("/subscriptions/" + subscription["id"])
ok(wait_until(lambda: not hostile.get("/deliveries?state=pending").json, 180, 0.3),
   "deliveries to the hostile tenant's targets are cancelled when it unsubscribes them")
# One receiver with many subscribers: RestHooksHostConcurrency

crowd = Receiver()
many = Httpd(retry="20s", config="RestHooksConcurrency 256", extra="""
    RestHooksEventType some.news "some"
    RestHooksHostConcurrency 8
""")
for tenant in range(20):
    for number in range(3):
        many.api(f"tenant{tenant}").subscribe(f"{crowd.url}/slow?s=0.5&n={tenant}.{number}",
                                              ["some.news"])
answer = many.api(role="app").post("/events", [
    {"type": "some.news", "tenant": f"tenant{tenant}", "data": {"number": number}}
    for tenant in range(20) for number in range(3)])
is_(answer.status, 202, "events of twenty tenants are published, each for three subscriptions")
got = crowd.wait_for(180, "/slow", 180)
wait_until(lambda: all(r.answered for r in crowd.received("/slow")), 120)
is_(len(got), 180, "one receiver gets all of them")
edges = sorted([(r.time, 1) for r in got] + [(r.answered, -1) for r in got])
most = now = 0
for _, step in edges:
    now += step
    most = max(most, now)
ok(2 <= most <= 8 * len(many.children()),
   f"at most eight at a time per process, for all its subscribers ({most})")
done_testing()
