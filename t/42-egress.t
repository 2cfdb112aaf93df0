#!/usr/bin/env python3
# Licensed under the Apache License, Version 2.0: see LICENSE.
"""Which targets can be reached: only public addresses, unless others are allowed."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
from rhtest import *  # noqa: E402,F403

receiver = Receiver()
other = Receiver(host="127.0.0.2")
TYPE = 'RestHooksEventType some.thing "a thing"\n'
strict = Vhost(name="strict", targets="", extra=TYPE)
default = Vhost(name="default", targets="RestHooksTargets http", retry="1s", extra=TYPE)
rules = Vhost(name="rules", retry="1s", extra=TYPE, targets="""
    RestHooksTargets http
    RestHooksTargetAllow 127.0.0.0/8
    RestHooksTargetDeny 127.0.0.2
""")
named = Vhost(name="named", retry="1s", extra=TYPE, targets="""
    RestHooksTargets http
    RestHooksTargetAllow localhost
""")
httpd = Httpd(vhosts=[strict, default, rules, named])


def refused(vhost, url, why):
    """Expect subscribing to be refused, or every attempt; nothing arrives."""
    api = vhost.api()
    answer = api.post("/subscriptions", {"target_url": url, "events": ["some.thing"]})
    if answer.status != 201:
        ok(400 <= answer.status < 500 and answer.type == "application/problem+json",
           f"{why}: can't be subscribed ({answer.status})")
        return
    vhost.api(role="app").post("/events", {"type": "some.thing", "data": {}})
    rows = wait_until(lambda: [r for r in api.deliveries(answer.json["id"])
                               if r["state"] == "failed"])
    ok(rows, f"{why}: its delivery fails")
    attempts = api.get("/deliveries/" + rows[0]["id"]).json["attempts"] if rows else []
    like(attempts[0]["error"] if attempts else "", r"(?i)address|refused|allow|policy",
         f"{why}: the attempt says so")
    api.delete("/subscriptions/" + answer.json["id"])


def allowed(vhost, url, path, why):
    api = vhost.api()
    subscription = api.subscribe(url, ["some.thing"])
    vhost.api(role="app").post("/events", {"type": "some.thing", "data": {}})
    ok(receiver.wait_for(1, path), why)
    api.delete("/subscriptions/" + subscription["id"])


refused(strict, receiver.url + "/strict", "http where https is required")
port = receiver.port
for host in ("127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]",
             "[64:ff9b::7f00:1]", "[2002:7f00:1::1]", "0x7f000001", "2130706433", "127.1",
             "0177.0.0.1", "0.0.0.0", "10.1.2.3", "169.254.169.254", "[fe80::1]", "[fd00::1]",
             "127.0.0.1.", "LOCALHOST"):
    refused(default, f"http://{host}:{port}/default", f"{host} by default")
is_(receiver.received(), [], "nothing of it arrived")

allowed(rules, receiver.url + "/rules", "/rules", "an allowed address block is reached")
refused(rules, other.url + "/denied", "a denied address in an allowed block")
is_(other.received(), [], "a deny rule wins over an allow rule")
allowed(named, f"http://localhost:{port}/named", "/named", "an allowed name is reached")
refused(named, receiver.url + "/byaddress", "its address without the name")
done_testing()
