#!/usr/bin/env python3
# Licensed under the Apache License, Version 2.0: see LICENSE.
"""Attempts show what was sent, header by header, though the database has most of it only once."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
from rhtest import *  # noqa: E402,F403

TYPES = ["invoice.paid", "invoice.sent", "order.made"]
EVENTS = 24

receiver = Receiver()
httpd = Httpd(retry="1s 1s", extra="\n".join(f'RestHooksEventType {kind} "of a test"' for kind in TYPES))
api, app = httpd.api(), httpd.api(role="app")
prefix = "resthooks." if DB == "pgsql" else "resthooks_"
failing = set()
receiver.on("/in", lambda received, number: (500,) if received.headers["webhook-id"] in failing else (200,))
subscription = api.subscribe(receiver.url + "/in", ["*"],
                             headers={"X-Own": 'a "quoted" \\ one', "Authorization": "Bearer hidden"})


def publish(count):
    return app.post("/events", [{"type": TYPES[n % len(TYPES)], "data": {"id": str(n)}}
                                for n in range(count)]).json


def settled():
    """Return the deliveries of the subscription once none is pending."""
    wait_until(lambda: not api.deliveries(subscription["id"], "?state=pending"))
    return [api.get("/deliveries/" + row["id"]).json
            for row in api.deliveries(subscription["id"], "?limit=500")]


def received_header(request):
    """Return the header of a request as an attempt shows it."""
    return {name: "********" if name == "Authorization" else value
            for name, value in request.raw_headers if name not in ("Host", "Content-Length")}


def is_shown(deliveries, name):
    """Check that each attempt shows the request that the target has received."""
    got = {(r.headers["webhook-id"], r.headers["webhook-signature"]): received_header(r)
           for r in receiver.received("/in")}
    shown = {(a["sent"]["headers"]["webhook-id"], a["sent"]["headers"]["webhook-signature"]):
             a["sent"]["headers"] for d in deliveries for a in d["attempts"]}
    is_(shown, got, name)


def templates():
    return int(database.sql(f"SELECT count(*) FROM {prefix}sent_template")[0][0])


database = httpd.database
publish(EVENTS)
receiver.wait_for(EVENTS, "/in")
deliveries = settled()
is_(len(deliveries), EVENTS, "events of several types are delivered")
is_shown(deliveries, "each attempt shows the header that the target has received")
like(api.get("/deliveries/" + deliveries[0]["id"]).text,
     r'"sent":\{"url":"[^"]*","format":"array","headers":\{"X-Own":.*\},"address":"127\.0\.0\.1:\d+",'
     r'"times":\{(?:"[a-z_]+_ms":\d+\.\d,)*"total_ms":\d+\.\d\}\}', "in this order")
count = templates()
ok(1 <= count <= 6, "what they have in common is stored a few times, not with each attempt") or diag(count)

publish(EVENTS)
receiver.wait_for(2 * EVENTS, "/in")
is_shown(settled(), "so do attempts of later events")
ok(templates() <= 6, "with no more templates") or diag(templates())

again = deliveries[0]
failing.add(again["event_id"])
api.post("/deliveries/" + again["id"] + "/redeliver")
receiver.wait_for(2 * EVENTS + 3, "/in")
is_shown(settled(), "a delivery that is sent again shows all its attempts")
is_(len(api.get("/deliveries/" + again["id"]).json["attempts"]), 4, "the first one included")

httpd.restart()
publish(1)
receiver.wait_for(2 * EVENTS + 4, "/in")
is_shown(settled(), "after a restart attempts show what they did before")

api.patch("/subscriptions/" + subscription["id"], {"headers": {"X-Own": "another"}})
before = templates()
publish(EVENTS)
receiver.wait_for(3 * EVENTS + 4, "/in")
is_shown(settled(), "so do they after a change of the subscription")
ok(before < templates() <= before + 6, "which has templates of its own") or diag(before, templates())
done_testing()
