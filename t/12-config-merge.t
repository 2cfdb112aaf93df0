#!/usr/bin/env python3
# Licensed under the Apache License, Version 2.0: see LICENSE.
"""What a virtual host and a Location inherit from the server, and what they override."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
from rhtest import *  # noqa: E402,F403

SERVER = r"""
    RestHooks On
    RestHooksTenant "%{req:X-Tenant}"
    RestHooksPublisher "%{req:X-Role} == 'app'"
    RestHooksAdmin "%{req:X-Role} == 'admin'"
    RestHooksEvent server.made POST "^/employers/(?<tenant>[^/]+)/employees$"
    RestHooksEventType server.only "of the server"
    RestHooksEventType both.places "as the server says"
    RestHooksMaxData 1000
    RestHooksTargets http
    RestHooksTargetAllow 127.0.0.0/8
    RestHooksTargetDeny 127.9.9.9
    RestHooksRetry 1h
    RestHooksGone 410
    <Location "/hooks">
        SetHandler resthooks
        Require expr true
    </Location>
    <Location "/elsewhere">
        SetHandler resthooks
        Require expr true
        RestHooksTenant "%{req:X-Other}"
        RestHooksPublisher "%{req:X-Role} == 'writer'"
        RestHooksAdmin false
    </Location>
"""
OWN = r"""
    RestHooksTenant "%{req:X-Mine}"
    RestHooksEvent host.made POST "^/employers/(?<tenant>[^/]+)/employees$"
    RestHooksEventType host.only "of the host"
    RestHooksEventType both.places "as the host says"
    RestHooksMaxData 3000
    RestHooksTargetAllow 127.9.9.9 10.0.0.0/8
    RestHooksRetry 1s
    RestHooksGone 404
"""

receiver, backend = Receiver(), Backend()
plain = Vhost(name="plain", enabled=False, backend=backend)
own = Vhost(name="own", enabled=False, backend=backend, database=False, extra=OWN)
strict = Vhost(name="strict", enabled=False, database=False, extra="RestHooksTargets https-only")
off = Vhost(name="off", enabled=False, backend=backend, database=False, extra="RestHooks Off")
httpd = Httpd(start=False, vhosts=[plain, own, strict, off])
httpd.server_config = (f"DBDriver {plain.database.driver}\nDBDParams \"{plain.database.params}\"\n"
                       + SERVER)
httpd.write_config()
httpd.start()


def client(host, role=None, path="/hooks", **headers):
    return Api(host.url + path, None, role, {f"X-{k}": v for k, v in headers.items()})


a, b = client(plain, Tenant="acme"), client(own, Mine="acme", Tenant="not")
writer, own_writer = client(plain, "app", Tenant="acme"), client(own, "app", Mine="acme")

# RestHooks On and Off
is_(a.get("/subscriptions").status, 200, "a virtual host without a setting is as the server is")
is_(b.get("/subscriptions").status, 200, "so is one that sets something else")
is_(client(off, Tenant="acme").get("/subscriptions").status, 404, "a virtual host with Off is off")

# Tenants, publishers, administrators
is_(client(plain).get("/subscriptions").status, 403,
    "the tenant comes from the server's expression")
is_(client(own, Tenant="acme").get("/subscriptions").status, 403,
    "a virtual host's expression overrides the server's")
there = client(plain, path="/elsewhere", Other="acme")
is_(there.get("/subscriptions").status, 200, "a Location's expression overrides both")
is_(client(plain, path="/elsewhere", Tenant="acme").get("/subscriptions").status, 403,
    "there the server's expression does not apply")
event = {"type": "server.only", "data": 1}
is_(writer.post("/events", event).status, 202, "the server's publisher publishes")
is_(own_writer.post("/events", event).status, 202,
    "the server's publisher publishes on the other host too")
is_(client(plain, "app", "/elsewhere", Other="acme").post("/events", event).status, 403,
    "where a Location names another publisher, the server's may not publish")
is_(client(plain, "writer", "/elsewhere", Other="acme").post("/events", event).status, 202,
    "the Location's publisher publishes there")
is_(client(plain, "admin").get("/subscriptions?tenant=acme").status, 200,
    "the server's administrator acts for other tenants")
is_(client(plain, "admin", "/elsewhere").get("/subscriptions?tenant=acme").status, 403,
    "where a Location says false, no login is an administrator")

# The catalogue
server_types = {"both.places", "server.made", "server.only"}
is_({t["type"] for t in a.get("/event-types").json}, server_types,
    "the server's catalogue has its types")
is_({t["type"] for t in b.get("/event-types").json}, server_types | {"host.made", "host.only"},
    "a virtual host adds types of its own")
is_([x.get("/event-types/both.places").json["description"] for x in (a, b)],
    ["as the server says", "as the host says"], "the host's own description wins")

# Limits
large = {"type": "server.only", "data": "x" * 2000}
is_((writer.post("/events", large).status, own_writer.post("/events", large).status), (413, 202),
    "a virtual host's number overrides the server's")

# Targets


def subscribing(api, address):
    return api.post("/subscriptions", {"target_url": f"http://{address}/", "events": ["*"],
                                       "active": False}).status


is_([subscribing(x, "127.0.0.1") for x in (a, b)], [201, 201],
    "targets that the server allows are allowed on all hosts")
is_(subscribing(client(strict, Tenant="acme"), "127.0.0.1"), 422,
    "except on a host that requires https")
is_([subscribing(x, "10.1.1.1") for x in (a, b)], [422, 201],
    "a virtual host allows further targets")
is_([subscribing(x, "127.9.9.9") for x in (a, b)], [422, 422],
    "a virtual host can't allow what the server denies")

# Rules, retries, and responses that end a subscription. Each host has a tenant of its own: the
# database is shared, and either host may claim a later delivery.
receiver.on("/gone", lambda received, number: (404,))
receiver.on("/fails", lambda received, number: (500,))
one, two = client(plain, Tenant="one"), client(own, Mine="two")
rows = [x.subscribe(receiver.url + "/fails", ["*"]) for x in (one, two)]
gone = [x.subscribe(receiver.url + "/gone", ["*"]) for x in (one, two)]
request("POST", plain.url + "/employers/one/employees", {"name": "Ada"})
request("POST", own.url + "/employers/two/employees", {"name": "Bob"})
is_([sorted(e["type"] for e in x.get("/events").json) for x in (one, two)],
    [["server.made"], ["host.made", "server.made"]],
    "a virtual host has the server's rules and its own")
ok(wait_until(lambda: two.get("/subscriptions/" + gone[1]["id"]).json["state"] == "gone"),
   "404 ends a subscription where the host says so")
ok(wait_until(lambda: one.deliveries(gone[0]["id"])[0]["attempt_count"] == 1),
   "with the server's list")
is_(one.get("/subscriptions/" + gone[0]["id"]).json["state"], "active", "404 does not end it")
ok(wait_until(lambda: two.deliveries(rows[1]["id"])[-1]["state"] == "failed"),
   "with the host's schedule a delivery has failed")
row = one.deliveries(rows[0]["id"])[0]
is_((row["state"], row["attempt_count"]), ("pending", 1),
    "with the server's schedule it still waits")
done_testing()
