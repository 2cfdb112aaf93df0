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
    ["employee.created", "employee.deleted", "employee.updated"], "the first has its types")
is_([t["type"] for t in two.get("/event-types").json], ["person.hired", "person.paid"],
    "the second has its own")
a = one.subscribe(receiver.url + "/one", ["*"])
b = two.subscribe(receiver.url + "/two", ["*"])
is_([s["id"] for s in one.get("/subscriptions").json], [a["id"]],
    "the first lists its subscription only")
is_([s["id"] for s in two.get("/subscriptions").json], [b["id"]], "the second too")
is_(two.get("/subscriptions/" + a["id"]).status, 404, "neither finds the other's")
is_(one.get("/subscriptions/" + b["id"]).status, 404, "nor the other way round")

request("POST", first.url + "/employers/acme/employees", {"name": "Ada"})
got = receiver.wait_for(1, "/one")
is_([r.headers.get("X-Hook-Event") for r in got], ["employee.created"],
    "a call to the first is the first's event")
request("POST", second.url + "/employers/acme/employees", {"name": "Bob"})
got = receiver.wait_for(1, "/two")
is_([r.headers.get("X-Hook-Event") for r in got], ["person.hired"],
    "a call to the second is the second's")
answer = request("POST", off.url + "/employers/acme/employees", {"name": "Eve"})
is_(answer.status, 201, "a host without RestHooks answers")
ok(receiver.quiet(1), "and makes no events")
is_((len(receiver.received("/one")), len(receiver.received("/two"))), (1, 1),
    "neither got the other's")

large = {"name": "x" * 2000}
request("POST", first.url + "/employers/acme/employees", large)
request("POST", second.url + "/employers/acme/employees", large)
item = json.loads(receiver.wait_for(2, "/one")[-1].body)[0]
is_(item.get("truncated"), True, "the first's limit truncates")
item = json.loads(receiver.wait_for(2, "/two")[-1].body)[0]
is_(item.get("name"), large["name"], "the second's doesn't")
httpd.expect(r"RH06\d\d: .*(larger|over|limit|truncat)")
is_((one.get("/events").status, len(one.get("/events").json), len(two.get("/events").json)),
    (200, 2, 2), "each has its events on record")
is_(request("GET", first.url + "/webhooks/subscriptions").status, 404,
    "the second's Location is not the first's")
done_testing()
