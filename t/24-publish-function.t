#!/usr/bin/env python3
# Licensed under the Apache License, Version 2.0: see LICENSE.
"""Another module publishes through the optional function resthooks_publish of mod_resthooks.h."""

import os
import re
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
from rhtest import *

apxs = shutil.which("apxs") or shutil.which("apxs2")
compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
if not apxs or not compiler:
    skip_all("no apxs or no compiler")


def query(name):
    return subprocess.run([apxs, "-q", name], capture_output=True, text=True, check=True).stdout.split()


LOCATION = """
    <Location "/publish">
        SetHandler publisher
    </Location>
    RestHooksMaxData 100
"""
receiver = Receiver()
on, off = (Vhost(rules="", extra=LOCATION), Vhost(extra=LOCATION.replace("RestHooksMaxData 100", ""),
                                                   enabled=False, database=False))
httpd = Httpd(vhosts=[on, off], start=False)
module = httpd.path("mod_publisher.so")
subprocess.run([compiler, "-shared", "-fPIC", *query("EXTRA_CPPFLAGS"),
                *(f"-I{folder}" for name in ("INCLUDEDIR", "APR_INCLUDEDIR", "APU_INCLUDEDIR")
                  for folder in query(name)),
                "-I" + SOURCE, os.path.join(SOURCE, "t", "lib", "mod_publisher.c"), "-o", module],
               check=True)
httpd.server_config = f"LoadModule publisher_module {module}"
httpd.write_config()
httpd.start()
api = httpd.api("acme")
subscription = api.subscribe(receiver.url + "/in", ["*"])


def publish(vhost=on, **fields):
    """Return (status, id)."""
    headers = {"X-" + name.capitalize(): value for name, value in fields.items()}
    return tuple(request("GET", vhost.url + "/publish", None, headers).text.split(" "))


DATA = '{"id": 7,"a":1.0}'
status, first = publish(tenant="acme", type="thing.made", data=DATA, traceparent="x")
is_(status, "success", "another module publishes")
ok(re.fullmatch(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f-]{21}", first), "it gets the event's id")
event = api.get("/events/" + first).json
is_((event["type"], event["key"], event["source"]), ("thing.made", "7", "publish"),
    "the event is stored when the function returns, with the key of its data")
got = receiver.wait_for(1, "/in")[0]
is_((got.body, got.headers["webhook-id"]), (b"[" + DATA.encode() + b"]", first),
    "it is delivered byte for byte")
ok(verify(subscription["secret"], got.headers, got.body), "and signed")

status, keyed = publish(tenant="acme", type="thing.made", data=DATA, key="own", id="once")
is_((status, api.get("/events/" + keyed).json["key"]), ("success", "own"),
    "a key parameter takes precedence over the data's")
is_(publish(tenant="acme", type="thing.made", data="[]", id="once"), ("success", keyed),
    "the same idempotency key gives the same event")
ok(publish(tenant="other", type="thing.made", data=DATA, id="once")[1] != keyed,
   "the same key of another tenant gives another event")
is_(api.get("/events/" + publish(tenant="other", type="thing.made", data=DATA)[1]).status, 404,
    "other tenants do not see that tenant's events")
is_(publish(tenant="acme", type="thing.silent", data="null", silent="1"), ("success", "-"),
    "the caller need not ask for the id")
is_(len(receiver.wait_for(3, "/in")), 3, "each event was sent once")

GOOD = {"tenant": "acme", "type": "thing.made", "data": "{}"}
for name, bad in (("no tenant", {"tenant": None}), ("an empty tenant", {"tenant": ""}),
                  ("a long tenant", {"tenant": "t" * 256}), ("no type", {"type": None}),
                  ("a bad type", {"type": "Thing"}), ("no data", {"data": None}),
                  ("no JSON", {"data": "{"}), ("two texts", {"data": "{}{}"}),
                  ("large data", {"data": '"' + "x" * 99 + '"'}), ("a long key", {"key": "k" * 256}),
                  ("a long idempotency key", {"id": "i" * 256})):
    fields = {k: v for k, v in {**GOOD, **bad}.items() if v is not None}
    is_(publish(**fields), ("invalid", "-"), f"{name} is refused")
is_(publish(off, **GOOD), ("off", "-"), "so is a host where RestHooks is Off")
is_(len(api.get("/events?limit=500").json), 3, "refused calls store nothing")

ok(httpd.graceful(), "httpd restarts")
is_(publish(tenant="acme", type="thing.made", data="1")[0], "success",
    "after a restart the function is available again")
ok(wait_until(lambda: [row["state"] for row in api.deliveries(subscription["id"])]
              == ["delivered"] * 4), "everything is delivered")
httpd._with_module = False
httpd._log_level = "notice"
on.enabled = False
on.extra = off.extra
httpd.write_config()
ok(httpd.graceful(), "httpd restarts without mod_resthooks")
ok(wait_until(lambda: publish(tenant="acme", type="thing.made", data="1") == ("missing", "-")),
   "the function is not available then")
done_testing()
