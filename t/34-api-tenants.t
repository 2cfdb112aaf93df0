#!/usr/bin/env python3
# Licensed under the Apache License, Version 2.0: see LICENSE.
"""Tenants don't see each other; administrators act for any tenant; the API's base may contain the
tenant."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
from rhtest import *  # noqa: E402,F403

receiver, backend = Receiver(), Backend()
main = Vhost(name="main", backend=backend)
nested = Vhost(name="nested", location="", extra=f"""
    ProxyPass /employers {backend.url}/employers
""" + r"""
    <LocationMatch "^/employers/(?<employer>[^/]+)/hooks">
        SetHandler resthooks
        Require expr true
        RestHooksTenant "%{env:MATCH_EMPLOYER}"
    </LocationMatch>
""")
httpd = Httpd(vhosts=[main, nested])
a, b, admin, app = main.api("a"), main.api("b"), main.api("a", "admin"), main.api("a", "app")
mine = a.subscribe(receiver.url + "/a", ["*"])
theirs = b.subscribe(receiver.url + "/b", ["*"])
path = "/subscriptions/" + mine["id"]
event = app.post("/events", {"type": "employee.created", "data": {"n": 1}}).json["id"]
receiver.wait_for(1, "/a")
wait_until(lambda: a.deliveries(mine["id"])[0]["state"] == "delivered")
delivery = a.deliveries(mine["id"])[0]["id"]

for method, url, body in (
        ("GET", path, None), ("PUT", path, {"target_url": receiver.url, "events": ["*"]}),
        ("PATCH", path, {"active": False}), ("DELETE", path, None), ("GET", path + "/secret", None),
        ("POST", path + "/secret/rotate", {}), ("DELETE", path + "/secret/old", None), ("POST", path + "/test", {}),
        ("GET", path + "/deliveries", None),
        ("POST", path + "/replay", {"from": "2026-01-01T00:00:00Z"}),
        ("GET", "/deliveries/" + delivery, None),
        ("POST", "/deliveries/" + delivery + "/redeliver", None), ("GET", "/events/" + event, None)):
    there, never = b.call(method, url, body), b.call(
        method, url.replace(mine["id"], "019a0000-0000-7000-8000-000000000000")
        .replace(delivery, "019a0000-0000-7000-8000-000000000000")
        .replace(event, "019a0000-0000-7000-8000-000000000000"), body)
    is_((there.status, there.body), (404, never.body),
        f"{method} {url.replace(mine['id'], '…').replace(delivery, '…').replace(event, '…')}: "
        "another tenant's row is not found")
is_([s["id"] for s in b.get("/subscriptions").json], [theirs["id"]],
    "lists have only the tenant's own rows")
is_((b.get("/events").json, b.get("/deliveries").json), ([], []), "this holds for all lists")
is_(b.get("/deliveries?subscription=" + mine["id"]).json, [], "also with filters")
ok(not receiver.received("/b"), "no event reaches another tenant")
is_(a.get(path).json["state"], "active", "nothing was changed")

is_(a.get("/subscriptions?tenant=b").status, 403, "?tenant= is for administrators")
is_(a.get("/subscriptions?tenant=a").status, 200, "naming one's own tenant is allowed")
is_([s["id"] for s in admin.get("/subscriptions?tenant=b").json], [theirs["id"]],
    "an administrator sees another tenant's rows")
is_(admin.patch(f"/subscriptions/{theirs['id']}?tenant=b", {"description": "x"}).status, 200,
    "an administrator acts for another tenant")
is_(main.api(None, "admin").get("/subscriptions?tenant=b").status, 200,
    "an administrator need not have a tenant")
is_(main.api(None, "admin").get("/subscriptions").status, 403, "then the request must name one")
is_(admin.get("/subscriptions?tenant=").status, 400, "an empty tenant is not valid")
answer = app.post("/events", {"type": "employee.created", "data": {"n": 2}, "tenant": "b"})
is_(answer.status, 202, "a publisher names the tenant of an event")
is_(json.loads(receiver.wait_for(1, "/b")[0].body), [{"n": 2}], "that tenant receives it")
is_(len(receiver.received("/a")), 1, "no other tenant does")

# The tenant is a part of the base.
one = Api(nested.url + "/employers/one/hooks", None)
two = Api(nested.url + "/employers/two/hooks", None)
made = one.post("/subscriptions", {"target_url": receiver.url + "/one", "events": ["*"]})
is_(made.status, 201, "every employer has an API of its own")
is_(made.headers["Location"], f"{nested.url}/employers/one/hooks/subscriptions/{made.json['id']}",
    "its URLs have its base")
is_(two.get("/subscriptions").json, [], "other employers do not share its subscriptions")
is_(one.get(made.headers["Location"]).json["id"], made.json["id"], "Location has its base")
is_(request("GET", nested.url + "/employers/one/hooks-of-ours").json, {"error": "no such place"},
    "a path that only begins like it is the backend's")
request("POST", nested.url + "/employers/two/employees", {"name": "Not"})
request("POST", nested.url + "/employers/one/employees", {"name": "Ada"})
got = receiver.wait_for(1, "/one")
is_(json.loads(got[0].body)[0]["name"], "Ada", "each has events of its own")
ok(receiver.quiet(1, "/one") or len(receiver.received("/one")) == 1, "alone")
is_(len(receiver.received("/one")), 1, "its event is the only one in the log")
listed = one.get("/subscriptions?limit=1")
is_(one.get("/openapi.json").json["servers"], [{"url": "/employers/one/hooks"}],
    "the description has that base too")
done_testing()
