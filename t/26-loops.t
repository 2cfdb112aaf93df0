#!/usr/bin/env python3
# Licensed under the Apache License, Version 2.0: see LICENSE.
"""A delivery leads to an event, which leads to a delivery, and so on: RestHooksMaxHops ends the
loop."""

import os
import sys
import urllib.request

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
from rhtest import *  # noqa: E402,F403

PEOPLE = "/employers/{}/employees"


class Place:
    """An httpd in front of a backend that accepts every POST."""

    def __init__(self, extra="", expect=(r"RH0315",), rules=RULES):
        self.backend = Receiver()
        self.httpd = Httpd(backend=self.backend, retry="1s 1s", extra=extra, expect=list(expect),
                           rules=rules)
        self.backend.on(PEOPLE.format("acme"), self.answer)
        self.api = self.httpd.api("acme")
        self.url = self.httpd.url + PEOPLE.format("acme")

    def answer(self, received, number):
        return 201, [("Content-Type", "application/json")], b'{"id": %d}' % number

    def post(self, **headers):
        answer = self.httpd.request("POST", PEOPLE.format("acme"), {"name": "Ada"}, headers)
        if answer.status != 201:
            raise RuntimeError(f"{answer}")

    def calls(self, count):
        """Wait for a number of calls to the backend, and expect no more; return the number."""
        self.backend.wait_for(count, PEOPLE.format("acme"))
        self.backend.quiet(3)
        return self.backend.count(PEOPLE.format("acme"))

    def hops(self):
        """Return the hop counts that the backend received; 0 for none."""
        return [int(r.headers.get("X-Hook-Hops", "0").split(".")[0])
                for r in self.backend.received(PEOPLE.format("acme"))]


# A subscription whose target is the captured API itself

place = Place()
place.api.subscribe(place.url, ["employee.created"])
place.post()
is_(place.calls(4), 4, "one POST to an API that is its own target leads to exactly three more")
is_(place.hops(), [0, 1, 2, 3], "each POST says how many deliveries led to it")
events = place.api.get("/events").json
is_(len(events), 4, "the events of all of them are recorded")
is_([len(place.api.get("/events/" + event["id"]).json["deliveries"]) for event in events],
    [0, 1, 1, 1], "the last event is not sent")
ok(wait_until(lambda: place.httpd.log().count("RH0315") == 1), "that is logged")
place.post()
is_(place.calls(8), 8, "a second POST ends in the same way")
is_(place.httpd.log().count("RH0315"), 1, "it is not logged again")
page = request("GET", place.httpd.url + "/hooks/metrics", None, {"X-Role": "admin"})
like(page.text, r"resthooks_events_looped_total\{[^}]*\} 2\b", "both are counted")

# Only this installation can sign a hop count.

before = place.backend.count()
place.post(**{"X-Hook-Hops": "9.9c6cb9f8f942084d717addcd29b69434"})
is_(place.calls(before + 4), before + 4, "a forged count does not end the loop sooner")
genuine = place.backend.received(PEOPLE.format("acme"))[3].headers["X-Hook-Hops"]
before = place.backend.count()
place.post(**{"X-Hook-Hops": "1" + genuine[genuine.index("."):]})
is_(place.calls(before + 4), before + 4, "neither does a modified one")
before = place.backend.count()
place.post(**{"X-Hook-Hops": genuine})
is_(place.calls(before + 1), before + 1,
    "a genuine count that is sent again counts against its sender")
place.httpd.stop()

# Two such subscriptions

place = Place()
for number in range(2):
    place.api.subscribe(place.url + f"?n={number}", ["employee.created"])
place.post()
is_(place.calls(15), 15, "with two such subscriptions one POST leads to 2 + 4 + 8 more")
place.httpd.stop()

# A target that calls the API and passes on the field that it received

place = Place(extra="RestHooksMaxHops 1")
relay = Receiver()


def pass_on(received, number):
    fields = {"Content-Type": "application/json"}
    if "X-Hook-Hops" in received.headers:
        fields["X-Hook-Hops"] = received.headers["X-Hook-Hops"]
    with urllib.request.urlopen(urllib.request.Request(place.url, received.body, fields)) as answer:
        return answer.status, [], b""


relay.on("/relay", pass_on)
place.api.subscribe(relay.url + "/relay", ["employee.created"])
place.post()
is_(place.calls(3), 3,
    "through a service that passes the field on the loop ends too, here after one hop")
place.httpd.stop()

# Events that are published because of a delivery

place = Place(extra='RestHooksMaxHops 0\nRestHooksEventType some.thing "a thing"')
app = place.httpd.api(role="app")
sink = Receiver()
place.api.subscribe(sink.url + "/in", ["some.thing"])
app.post("/events", {"type": "some.thing", "tenant": "acme", "data": 1})
hops = sink.wait_for(1, "/in")[0].headers["X-Hook-Hops"]
first = app.post("/events", {"type": "some.thing", "tenant": "acme", "data": 2},
                 headers={"X-Hook-Hops": hops})
is_(first.status, 202, "an event that is published because of a delivery is accepted")
ok(sink.quiet(2) and sink.count("/in") == 1, "RestHooksMaxHops 0: and not sent")
event = place.api.get("/events/" + first.json["ids"][0]).json
is_((event["source"], event["reason"], event["hops"], event["deliveries"]),
    ("publish", "hops", 1, []), "it is recorded with the reason")
place.httpd.stop()

# Deliveries that are claimed instead of handed over: the event has the count.

place = Place()
place.api.subscribe(place.url, ["employee.created"], ordered=True)
place.post()
is_(place.calls(4), 4, "an ordered subscription ends the loop as soon")
done_testing()
