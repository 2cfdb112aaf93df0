#!/usr/bin/env python3
# Licensed under the Apache License, Version 2.0: see LICENSE.
"""Prefork: few children deliver, and others take over when they die."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
from rhtest import *  # noqa: E402,F403

if MPM == "worker":
    skip_all("one test for all MPMs, which runs with event")

receiver, backend = Receiver(), Backend()
httpd = Httpd(mpm="prefork", backend=backend, config="StartServers 8\nMinSpareServers 8\n"
                                                     "MaxSpareServers 10\nMaxRequestWorkers 20",
              children=False, expect=[r"exit signal Killed"], extra="RestHooksTimeout 15s")
api = httpd.api()


def deliverers():
    """Return the children that hold each slot's file open, by slot."""
    held = {}
    for pid in httpd.children():
        try:
            for name in os.listdir(f"/proc/{pid}/fd"):
                target = os.readlink(f"/proc/{pid}/fd/{name}")
                if re.search(r"/deliver\.\d+\.lock$", target):
                    held[target] = pid
        except OSError:
            pass
    return held


ok(wait_until(lambda: len(httpd.children()) >= 8 and len(deliverers()) == 4),
   f"of {len(httpd.children())} children, four deliver")
ok(len(set(deliverers().values())) == 4, "they are four different ones")
api.subscribe(receiver.url + "/in", ["*"])
for number in range(40):
    httpd.request("POST", "/employers/acme/employees", {"name": f"n{number}"})
got = receiver.wait_for(40, "/in")
is_(sorted(json.loads(r.body)[0]["name"] for r in got), sorted(f"n{n}" for n in range(40)),
    "events that any child stores arrive, once")
victims = set(deliverers().values())
for pid in victims:
    os.kill(pid, signal.SIGKILL)
ok(wait_until(lambda: len(deliverers()) == 4 and not set(deliverers().values()) & victims),
   "when all four are killed, four others deliver")
receiver.clear()
for number in range(10):
    httpd.request("POST", "/employers/acme/employees", {"name": f"m{number}"})
got = receiver.wait_for(10, "/in")
is_(len({json.loads(r.body)[0]["name"] for r in got}), 10, "everything arrives")
done_testing()
