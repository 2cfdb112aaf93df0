#!/usr/bin/env python3
# Licensed under the Apache License, Version 2.0: see LICENSE.
"""Two virtual hosts: their databases, rules and limits don't mix."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
from rhtest import *  # noqa: E402,F403

receiver, backend = Receiver(), Backend()
first = Vhost(name="first", backend=backend, extra="RestHooksMaxData 1000")
second = Vhost(name="second", backend=backend, hooks="/webhooks", rules=r"""
    RestHooksEvent person.hired POST "^/employers/(?<tenant>[^/]+)/employees$"
    RestHooksEventType person.paid "was paid"
""")
off = Vhost(name="off", backend=backend, enabled=False)
httpd = Httpd(vhosts=[first, second, off])
one, two = first.api("acme"), second.api("acme")

is_([t["type"] for t in one.get("/event-types").json],
    ["employee.created", "employee.deleted", "employee.updated"], "the first host has its types")
is_([t["type"] for t in two.get("/event-types").json], ["person.hired", "person.paid"],
    "the second host has its own")
a = one.subscribe(receiver.url + "/one", ["*"])
b = two.subscribe(receiver.url + "/two", ["*"])
is_([s["id"] for s in one.get("/subscriptions").json], [a["id"]],
    "the first host lists only its subscription")
is_([s["id"] for s in two.get("/subscriptions").json], [b["id"]], "so does the second")
is_(two.get("/subscriptions/" + a["id"]).status, 404,
    "the second host does not find the first one's")
is_(one.get("/subscriptions/" + b["id"]).status, 404,
    "the first host does not find the second one's")

request("POST", first.url + "/employers/acme/employees", {"name": "Ada"})
got = receiver.wait_for(1, "/one")
is_([r.headers.get("X-Hook-Event") for r in got], ["employee.created"],
    "a call to the first host is the first host's event")
request("POST", second.url + "/employers/acme/employees", {"name": "Bob"})
got = receiver.wait_for(1, "/two")
is_([r.headers.get("X-Hook-Event") for r in got], ["person.hired"],
    "a call to the second host is the second host's event")
answer = request("POST", off.url + "/employers/acme/employees", {"name": "Eve"})
is_(answer.status, 201, "a host without RestHooks answers")
ok(receiver.quiet(1), "a call that only the other host captures makes no event")
is_((len(receiver.received("/one")), len(receiver.received("/two"))), (1, 1),
    "neither target got the other's events")

large = {"name": "x" * 2000}
request("POST", first.url + "/employers/acme/employees", large)
request("POST", second.url + "/employers/acme/employees", large)
item = json.loads(receiver.wait_for(2, "/one")[-1].body)[0]
is_(item.get("truncated"), True, "the first host's limit truncates")
item = json.loads(receiver.wait_for(2, "/two")[-1].body)[0]
is_(item.get("name"), large["name"], "the second host's limit does not")
httpd.expect(r"RH06\d\d: .*(larger|over|limit|truncat)")
is_((one.get("/events").status, len(one.get("/events").json), len(two.get("/events").json)),
    (200, 2, 2), "each host has its events in its log")
is_(request("GET", first.url + "/webhooks/subscriptions").status, 404,
    "each host's Location is its own")
done_testing()
