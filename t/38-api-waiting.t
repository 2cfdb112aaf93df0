#!/usr/bin/env python3
# Licensed under the Apache License, Version 2.0: see LICENSE.
"""What a pending delivery waits for."""

import datetime
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
from rhtest import *  # noqa: E402,F403

receiver = Receiver()
httpd = Httpd(retry="60s", extra="""
    RestHooksEventType failing.news "for one that fails"
    RestHooksEventType pausing.news "for one that asks for a pause"
    RestHooksEventType rate.news "for one with a rate limit"
    RestHooksEventType order.news "for one that wants them in order"
    RestHooksTimeout 90s
""")
api, app = httpd.api(), httpd.api(role="app")


def publish(kind, count=1):
    answer = app.post("/events", [{"type": kind, "data": {}, "key": "1"}] * count)
    is_(answer.status, 202, f"{count} of {kind} are taken")
    return answer.json["ids"]


def seconds(delivery):
    """Return the time from now to its next attempt."""
    return datetime.datetime.fromisoformat(delivery["next_attempt_at"]).timestamp() - time.time()


def waits(subscription, what, count=1):
    """Wait until a number of deliveries wait for this; return them."""
    def those():
        return [row for row in api.deliveries(subscription["id"], "?state=pending")
                if row["waiting_for"] == what]
    wait_until(lambda: len(those()) >= count)
    found = those()
    ok(len(found) >= count, f"{count} wait for: {what}")
    for row in found[:1]:
        one = api.get("/deliveries/" + row["id"]).json
        ok(one["waiting_for"] == what or what == "rate_limit", "read alone it shows the same")
    return found


# The retry schedule, until it is delivered
answers = {"status": 500}
receiver.on("/failing", lambda received, number: (answers["status"],))
failing = api.subscribe(receiver.url + "/failing", ["failing.news"])
publish("failing.news")
row = waits(failing, "schedule")[0]
ok(30 < seconds(row) < 80, "its next attempt is when the schedule says")
answers["status"] = 200
api.post(f"/deliveries/{row['id']}/redeliver")
wait_until(lambda: api.get("/deliveries/" + row["id"]).json["state"] == "delivered")
one = api.get("/deliveries/" + row["id"]).json
is_((one["state"], one["waiting_for"], one["next_attempt_at"]), ("delivered", None, None),
    "a delivered one waits for nothing")

# The subscription
answers["status"] = 500
publish("failing.news")
waits(failing, "schedule")
api.patch("/subscriptions/" + failing["id"], {"active": False})
waits(failing, "subscription")

# The target
receiver.on("/pausing", lambda received, number: (503, [("Retry-After", "300")], b""))
pausing = api.subscribe(receiver.url + "/pausing", ["pausing.news"])
publish("pausing.news")
wait_until(lambda: api.deliveries(pausing["id"])[0]["attempt_count"] == 1)
late = publish("pausing.news")[0]
rows = [row for row in waits(pausing, "target") if row["event_id"] == late]
ok(rows and 200 < seconds(rows[0]) < 310, "it waits for as long as its target asked for")

# The rate limit
rated = api.subscribe(receiver.url + "/rated", ["rate.news"], rate_limit=1)
publish("rate.news", 60)
waits(rated, "rate_limit")

# The order, and the attempt that the others wait for
ordered = api.subscribe(receiver.url + "/slow?s=80", ["order.news"], ordered=True)
first, *others = publish("order.news", 3)
row = waits(ordered, "attempt")[0]
is_((row["event_id"], row["next_attempt_at"]), (first, None), "the first is being attempted")
is_(sorted(row["event_id"] for row in waits(ordered, "order", 2)), sorted(others),
    "the others of its key wait for it")

done_testing()
