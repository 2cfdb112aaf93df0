#!/usr/bin/env python3
# Licensed under the Apache License, Version 2.0: see LICENSE.
"""RestHooksEvent … observe: a rule on trial records what it would have captured, and sends
nothing."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
from rhtest import *  # noqa: E402,F403
from openmetrics import Metrics  # noqa: E402

RULE = r"""
    RestHooksEvent employee.updated PUT,PATCH "^/employers/(?<tenant>[^/]+)/employees/(?<key>[^/]+)$"
    RestHooksEvent employee.tried POST "^/employers/(?<tenant>[^/]+)/employees$" """
receiver, backend = Receiver(), Backend()
httpd = Httpd(backend=backend, rules=RULE + "status=201 observe data=request")
api = httpd.api()
subscription = api.subscribe(receiver.url + "/in", ["*"])
ordered = api.subscribe(receiver.url + "/ordered", ["employee.*"], ordered=True)
before = "2020-01-01T00:00:00Z"


def counted(source):
    text = request("GET", httpd.url + "/hooks/metrics").text
    return Metrics(text).sum("resthooks_events_total", source=source)


trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
ids = []
for number in range(3):
    answer = httpd.request("POST", "/employers/acme/employees", {"name": f"n{number}"},
                           {"traceparent": trace})
    ids.append(answer.json["id"])
is_(answer.status, 201, "the client gets its response")
events = api.get("/events").json
is_([(e["type"], e["observed"], e["source"], e["deliveries"]) for e in events],
    [("employee.tried", True, "capture", [])] * 3,
    "the log has what the rule found, without deliveries")
is_([e["data"]["name"] for e in events], ["n2", "n1", "n0"], "it has the data")
is_({e["traceparent"] for e in events}, {trace}, "it has the trace")
one = api.get("/events/" + events[0]["id"]).json
is_((one["observed"], one["deliveries"]), (True, []), "so does a single event")
is_((counted("observed"), counted("capture")), (3, 0), "events are counted as observed")

httpd.request("PATCH", f"/employers/acme/employees/{ids[0]}", {"name": "real"})
ok(receiver.wait_for(1, "/in") and receiver.wait_for(1, "/ordered"),
   "another rule beside it captures and sends")
real = api.get("/events?type=employee.updated").json
is_([(e["observed"], len(e["deliveries"])) for e in real], [(False, 2)],
    "its events are not observed")

for path in (subscription["id"], ordered["id"]):
    wait_until(lambda: api.deliveries(path)[0]["state"] == "delivered")
    answer = api.post(f"/subscriptions/{path}/replay", {"from": before, "state": "any"})
    is_((answer.status, api.queued(answer)), (202, 1), "a replay sends only the real event")
late = api.subscribe(receiver.url + "/late", ["*"])
answer = api.post(f"/subscriptions/{late['id']}/replay", {"from": before, "state": "any"})
is_(api.queued(answer), 1, "so does a replay to a later subscription")
receiver.wait_for(1, "/late")
wait_until(lambda: all(row["state"] == "delivered" for s in (subscription, ordered, late)
                       for row in api.deliveries(s["id"])))
is_({r.headers["X-Hook-Event"] for r in receiver.received()}, {"employee.updated"},
    "nothing of the observing rule was ever sent")
is_(sum(len(api.deliveries(s["id"])) for s in (subscription, ordered, late)), 3,
    "no delivery was made")

# Without `observe` the rule sends, and events observed before are not sent later.
httpd.vhosts[0].rules = RULE + "status=201 data=request"
httpd.write_config()
httpd.graceful()
httpd.request("POST", "/employers/acme/employees", {"name": "in earnest"})
is_([json.loads(r.body)[0]["name"] for r in receiver.wait_for(2, "/late")][1:], ["in earnest"],
    "without the word the rule sends")
is_([e["observed"] for e in api.get("/events?type=employee.tried").json],
    [False, True, True, True], "events observed before still have no deliveries")

# The word itself
httpd.vhosts[0].rules = RULE + "Observe when=true observer"
httpd.write_config()
good, text = httpd.check_config()
ok(not good and "RestHooksEvent" in text and '"observer"' in text and "observe" in text,
   "another word is refused, with the directive's name")
httpd.vhosts[0].rules = RULE + "OBSERVE"
httpd.write_config()
is_(httpd.check_config()[0], True, "its case does not matter")
done_testing()
