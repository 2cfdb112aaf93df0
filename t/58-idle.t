#!/usr/bin/env python3
# Licensed under the Apache License, Version 2.0: see LICENSE.
"""A process with nothing to deliver asks the database once a second at most."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
from rhtest import *  # noqa: E402,F403

if DB != "pgsql":
    skip_all("SQLite keeps no log of statements")
if MPM != "event":
    skip_all("the database's side alone is tested: one MPM will do")

SECONDS = 12
cluster = Cluster("log_statement = all\n")
receiver = Receiver()
httpd = Httpd(database=Pgsql(cluster), retry="1h")
api, app = httpd.api(), httpd.api(role="app")
subscription = api.subscribe(receiver.url + "/in", ["*"])
app.post("/events", {"type": "employee.created", "data": {"id": 1}})
receiver.wait_for(1, "/in")
wait_until(lambda: api.deliveries(subscription["id"], "?state=delivered"))


def looks():
    """Claims in the log of the server."""
    with open(os.path.join(cluster.root, "log"), encoding="utf-8", errors="replace") as file:
        return sum("execute claim_" in line for line in file)


def most_looks(name):
    time.sleep(2)
    children = len(httpd.children())
    before, began = looks(), time.time()
    time.sleep(SECONDS)
    # A look that was on its way when counting began is one more, and a walk around takes two; there
    # is one in half a minute.
    most = children * ((time.time() - began) / 0.9 + 2) + 1
    after = looks() - before
    ok(0 < after <= most, f"{name} ({after} looks of {children} processes)")


most_looks("a process with nothing to deliver looks once a second")
subscription = api.subscribe(receiver.url + "/status/500", ["*"])
app.post("/events", {"type": "employee.created", "data": {"id": 2}})
ok(wait_until(lambda: api.get(f"/subscriptions/{subscription['id']}").json["stats"]
              ["last_status_code"] == 500), "something waits for its next attempt")
most_looks("one with something that waits for long does not look more often")
done_testing()
