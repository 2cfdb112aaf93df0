#!/usr/bin/env python3
# Licensed under the Apache License, Version 2.0: see LICENSE.
"""One id leads from a call to its POSTs: X-Hook-Event-Id and traceparent."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
from rhtest import *  # noqa: E402,F403
from capture import RawBackend, raw  # noqa: E402

RULES = r"""
    RestHooksEvent thing.made POST,HEAD,GET "^/employers/(?<tenant>[^/]+)/things$" status=2xx,404
    RestHooksEvent thing.twice POST "^/employers/(?<tenant>[^/]+)/twice$"
    RestHooksEvent thing.again POST "^/employers/(?<tenant>[^/]+)/twice$" data=request
    RestHooksEvent thing.tried POST "^/employers/(?<tenant>[^/]+)/twice$" observe
"""
PLACES = """
    <Location "/employers/quiet">
        RestHooksExposeEventId Off
    </Location>
    <LocationMatch "^/employers/loud">
        RestHooksExposeEventId On
    </LocationMatch>
"""
JSON = b'{"id": 5, "name": "\\u00e9"}'
HEAD = b"HTTP/1.1 201 Created\r\nContent-Type: application/json\r\nX-Case: Kept\r\n"
backend, receiver = RawBackend(), Receiver()
on = Vhost(backend=backend, rules=RULES, extra=PLACES + "RestHooksExposeEventId On", name="on")
off = Vhost(backend=backend, rules=RULES, extra="RestHooksExposeEventId Off", name="off")
unset = Vhost(backend=backend, rules=RULES, extra=PLACES, name="unset")
plain = Vhost(backend=backend, enabled=False, database=False, name="plain")
httpd = Httpd(vhosts=[on, off, unset, plain])
TENANTS = ("acme", "quiet", "loud")
for tenant in TENANTS:
    for path in ("things", "twice"):
        backend.on(f"POST /employers/{tenant}/{path}", lambda e: e.send(
            HEAD + b"Transfer-Encoding: chunked\r\n\r\n",
            b"%x\r\n%s\r\n0\r\n\r\n" % (len(JSON), JSON)))
    backend.on(f"HEAD /employers/{tenant}/things", lambda e: e.send(
        HEAD + b"Content-Length: %d\r\n\r\n" % len(JSON)))
    backend.on(f"GET /employers/{tenant}/things", lambda e: e.answer(404, b"{}"))
NAME = "X-Hook-Event-Id"


def without(answer):
    """Return all of a response except for the field."""
    kind = answer.comparable()
    fields = [field for field in kind[2] if field[0] != NAME]
    return (*kind[:2], fields, *kind[3:])


def call(host, method, target, **more):
    body = b"" if method in ("GET", "HEAD") else b'{"asked":1}'
    return raw(host.port, method, target, body, **more)


api = on.api()
api.subscribe(receiver.url + "/in", ["*"])
trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
answer = call(on, "POST", "/employers/acme/things",
              fields=[("traceparent", trace), ("Content-Type", "application/json")])
event = answer.head.get(NAME)
ok(event, f"a captured response names its event: {event}")
is_(api.get(f"/events/{event}").json["type"], "thing.made", "the event is in the log")
got = receiver.wait_for(1, "/in")[0]
is_(got.headers["webhook-id"], event, "the POST has its id")
is_(got.headers["traceparent"], trace, "the POST has the request's trace")
is_(api.get(f"/events/{event}").json["traceparent"], trace, "the log has the trace, too")
answer = call(on, "POST", "/employers/acme/things", fields=[("traceparent", "not one")])
is_([r.headers.get("traceparent") for r in receiver.wait_for(2, "/in")][1:], [None],
    "an invalid traceparent is not passed on")

answer = call(on, "POST", "/employers/acme/twice")
ids = answer.head.get(NAME).split(", ")
is_([api.get("/events/" + i).json["type"] for i in ids], ["thing.twice", "thing.again"],
    "several events are named, observed ones are not")
is_(len({r.headers["webhook-id"] for r in receiver.wait_for(4, "/in")} & set(ids)), 2,
    "all of them are sent")

# Where it is on and off
for method, target in (("POST", "things"), ("POST", "twice"), ("HEAD", "things"),
                       ("GET", "things")):
    path = f"/employers/acme/{target}"
    bare, loud = call(plain, method, path), call(on, method, path)
    is_(without(loud), bare.comparable(), f"{method} {target}: the field is all that is added")
    ok(loud.head.get(NAME), "the event is in the log nevertheless")
    is_(call(off, method, path).comparable(), bare.comparable(),
        f"{method} {target}: Off leaves the answer as it was")
    is_(call(unset, method, path).comparable(), bare.comparable(),
        f"{method} {target}: so does a host that says nothing")
is_(call(on, "POST", "/employers/quiet/things").head.get(NAME), None, "a Location turns it off")
ok(call(unset, "POST", "/employers/loud/things").head.get(NAME), "another Location turns it on")
is_(call(on, "DELETE", "/employers/acme/things").head.get(NAME), None,
    "a response that is not captured has no such field")
done_testing()
