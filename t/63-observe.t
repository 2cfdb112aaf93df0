#!/usr/bin/env python3
# Licensed under the Apache License, Version 2.0: see LICENSE.
"""RestHooksEvent … observe: a rule that is tried out records what it would have captured, and sends
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
is_(answer.status, 201, "the client is answered")
events = api.get("/events").json
is_([(e["type"], e["observed"], e["source"], e["deliveries"]) for e in events],
    [("employee.tried", True, "capture", [])] * 3, "the log has what the rule found, for nobody")
is_([e["data"]["name"] for e in events], ["n2", "n1", "n0"], "with its data")
is_({e["traceparent"] for e in events}, {trace}, "and its trace")
one = api.get("/events/" + events[0]["id"]).json
is_((one["observed"], one["deliveries"]), (True, []), "one of them, too")
is_((counted("observed"), counted("capture")), (3, 0), "they are counted as observed")

httpd.request("PATCH", f"/employers/acme/employees/{ids[0]}", {"name": "real"})
ok(receiver.wait_for(1, "/in") and receiver.wait_for(1, "/ordered"),
   "a rule beside it captures and sends")
real = api.get("/events?type=employee.updated").json
is_([(e["observed"], len(e["deliveries"])) for e in real], [(False, 2)], "which is not observed")

for path in (subscription["id"], ordered["id"]):
    wait_until(lambda: api.deliveries(path)[0]["state"] == "delivered")
    answer = api.post(f"/subscriptions/{path}/replay", {"from": before, "state": "any"})
    is_((answer.status, api.queued(answer)), (202, 1), "a replay sends the real one alone")
late = api.subscribe(receiver.url + "/late", ["*"])
answer = api.post(f"/subscriptions/{late['id']}/replay", {"from": before, "state": "any"})
is_(api.queued(answer), 1, "also to one that came later")
receiver.wait_for(1, "/late")
wait_until(lambda: all(row["state"] == "delivered" for s in (subscription, ordered, late)
                       for row in api.deliveries(s["id"])))
is_({r.headers["X-Hook-Event"] for r in receiver.received()}, {"employee.updated"},
    "nothing of the rule was ever sent")
is_(sum(len(api.deliveries(s["id"])) for s in (subscription, ordered, late)), 3,
    "and no delivery was made")

# Taken seriously, the rule sends; what was observed before stays what it was.
httpd.vhosts[0].rules = RULE + "status=201 data=request"
httpd.write_config()
httpd.graceful()
httpd.request("POST", "/employers/acme/employees", {"name": "in earnest"})
is_([json.loads(r.body)[0]["name"] for r in receiver.wait_for(2, "/late")][1:], ["in earnest"],
    "without the word it sends")
is_([e["observed"] for e in api.get("/events?type=employee.tried").json],
    [False, True, True, True], "what was observed before is still nobody's")

# The word.
httpd.vhosts[0].rules = RULE + "Observe when=true observer"
httpd.write_config()
good, text = httpd.check_config()
ok(not good and "RestHooksEvent" in text and '"observer"' in text and "observe" in text,
   "another word is refused, naming the directive")
httpd.vhosts[0].rules = RULE + "OBSERVE"
httpd.write_config()
is_(httpd.check_config()[0], True, "its case does not matter")
done_testing()
