#!/usr/bin/env python3
# Licensed under the Apache License, Version 2.0: see LICENSE.
"""Statistics, lists by status code, and replays that only count."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
from rhtest import *  # noqa: E402,F403

receiver = Receiver()
httpd = Httpd(rules="", retry="1h")
api, app = httpd.api(), httpd.api(role="app")
receiver.on("/bad", lambda received, number: (503,))
receiver.on("/worse", lambda received, number: (404,))
fine = api.subscribe(receiver.url + "/in", ["row.made"])
bad = api.subscribe(receiver.url + "/bad", ["row.made"])
worse = api.subscribe(receiver.url + "/worse", ["row.lost"])


def publish(kind, count):
    return app.post("/events", [{"type": kind, "data": {"id": n}} for n in range(count)]).json


publish("row.made", 7)
publish("row.lost", 2)
wait_until(lambda: all(d["attempt_count"] == 1 for d in api.get("/deliveries").json))
wait_until(lambda: not api.get("/deliveries?state=pending&status=none").json)
is_(len(api.get("/deliveries").json), 16, "there are deliveries in each state")


def count(query, of=None):
    return len(api.get((f"/subscriptions/{of['id']}" if of else "") + "/deliveries" + query).json)


for query, of, number in (("?status=200", None, 7), ("?status=5xx", None, 7),
                          ("?status=404", None, 2), ("?status=4xx", worse, 2),
                          ("?status=4xx", fine, 0), ("?status=none", None, 0),
                          ("?status=503&state=pending", bad, 7), ("?status=501", None, 0)):
    is_(count(query, of), number, f"{number} with {query}" + (" of one" if of else ""))
for query in ("status=0xx", "status=20", "status=2000", "status=abc", "status=", "status=-1x"):
    is_(api.get("/deliveries?" + query).status, 400, f"{query} is refused")
dead = api.subscribe("http://127.0.0.1:1/in", ["row.dead"])
publish("row.dead", 1)
ok(wait_until(lambda: [d["attempt_count"] for d in api.deliveries(dead["id"])] == [1]),
   "a delivery without a response")
is_(count("?status=none"), 1, "it is found as well")

stats = api.get("/stats").json
is_((len(stats["buckets"]), stats["step"]), (24, 3600),
    "statistics are for a day by default, by the hour")


def total(stats):
    return {k: sum(b[k] for b in stats["buckets"])
            for k in ("delivered", "failed", "pending", "cancelled", "attempts")}


is_(total(stats), {"delivered": 7, "failed": 0, "pending": 10, "cancelled": 0, "attempts": 17},
    "they count deliveries by state, and attempts")
last = stats["buckets"][-1]
busy = [b for b in stats["buckets"] if b["attempts"]]
ok(busy and all(0 <= b["p50"] <= b["p90"] <= b["p99"] for b in busy), "they have durations")
ok(all(b["p50"] is None for b in stats["buckets"] if not b["attempts"]),
   "durations are null without attempts")
is_(total(api.get("/stats?subscription=" + bad["id"]).json),
    {"delivered": 0, "failed": 0, "pending": 7, "cancelled": 0, "attempts": 7},
    "they can be for one subscription")
is_(total(httpd.api("other").get("/stats?subscription=" + bad["id"]).json)["pending"], 0,
    "another subscription's do not include them")
is_(total(httpd.api("other").get("/stats").json)["attempts"], 0, "another tenant gets none")
early = api.get("/stats?from=2020-01-01T00:00:00Z&to=2020-01-01T02:30:00Z&step=3600").json
is_([b["time"] for b in early["buckets"]],
    ["2020-01-01T00:00:00.000Z", "2020-01-01T01:00:00.000Z", "2020-01-01T02:00:00.000Z"],
    "buckets are consecutive, with empty ones")
is_(total(early)["attempts"], 0, "in those, nothing happened")
ragged = api.get("/stats?from=2020-01-01T00:20:00Z&to=2020-01-01T05:40:00Z&step=5400").json
is_((ragged["from"], ragged["to"], ragged["step"], [b["time"][11:16] for b in ragged["buckets"]]),
    ("2020-01-01T00:00:00.000Z", "2020-01-01T06:00:00.000Z", 7200, ["00:00", "02:00", "04:00"]),
    "buckets from an hour on are whole hours")
one = api.get("/stats?from=2020-01-01T00:20:00Z&to=2020-01-02T00:20:00Z&step=86400").json
is_((one["from"], one["to"], one["step"], len(one["buckets"])),
    ("2020-01-01T00:00:00.000Z", "2020-01-02T01:00:00.000Z", 25 * 3600, 1),
    "a step as long as the time asked for gives one bucket, whatever is rounded")
short = api.get("/stats?from=2020-01-01T00:20:00Z&to=2020-01-01T00:40:00Z&step=600").json
is_((short["from"], short["to"], len(short["buckets"])),
    ("2020-01-01T00:20:00.000Z", "2020-01-01T00:40:00.000Z", 2), "shorter ones are as asked for")
is_(total(api.get("/stats?step=900").json), total(stats), "and count the same from the log")
each = api.get("/stats/subscriptions?step=7200").json
is_({row["id"]: (sum(row["delivered"]), sum(row["failed"])) for row in each["subscriptions"]},
    {fine["id"]: (7, 0), bad["id"]: (0, 0), worse["id"]: (0, 0), dead["id"]: (0, 0)},
    "subscriptions are counted side by side")
is_({len(row["delivered"]) for row in each["subscriptions"]}, {12}, "by bucket")
for query in ("step=59", "step=x", "step=1e9", "from=x", "to=2020-01-01", "subscription=x",
              "from=2020-01-02T00:00:00Z&to=2020-01-01T00:00:00Z",
              "from=2020-01-01T00:00:00Z&to=2021-01-01T00:00:00Z&step=60"):
    answer = api.get("/stats?" + query)
    is_((answer.status, answer.type), (400, "application/problem+json"), f"{query} is refused")

# The count that a dry run gives, and the number that the replay sends.
path = f"/subscriptions/{fine['id']}/replay"
body = {"from": "2020-01-01T00:00:00Z", "state": "any", "dry_run": True}
answer = api.post(path, body)
is_((answer.status, answer.json), (200, {"matching": 7}), "a replay can be counted first")
is_(count("?state=pending", fine), 0, "counting queues nothing")
is_(api.post(path, {**body, "state": "failed"}).json, {"matching": 0}, "by state")
late = api.subscribe("http://127.0.0.1:1/late", ["row.*"])
path = f"/subscriptions/{late['id']}/replay"
is_(api.post(path, body).json, {"matching": 10}, "events that were never sent there count")
is_(api.queued(api.post(path, {**body, "dry_run": False})), 10, "the replay sends that number")
is_(api.post(path, {**body, "dry_run": "yes"}).status, 422, "dry_run must be true or false")
is_(httpd.api("other").post(path, body).status, 404, "for another tenant the count is 0")

# Hours are added up, and follow what is sent again.
PREFIX = "resthooks." if DB == "pgsql" else "resthooks_"
ok(wait_until(lambda: httpd.database.sql(f"SELECT count(*) FROM {PREFIX}stat_change")[0][0] in (0, "0"),
              60), "what happened is added up")
before = total(api.get("/stats?subscription=" + fine["id"]).json)
receiver.on("/in", lambda received, number: (503,))
api.post(f"/deliveries/{api.deliveries(fine['id'])[0]['id']}/redeliver")
ok(wait_until(lambda: total(api.get("/stats?subscription=" + fine["id"]).json)
              == {**before, "delivered": before["delivered"] - 1, "pending": before["pending"] + 1,
                  "attempts": before["attempts"] + 1}), "one that is sent again is pending there")
done_testing()
