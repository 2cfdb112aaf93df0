#!/usr/bin/env python3
# Licensed under the Apache License, Version 2.0: see LICENSE.
"""A process with nothing to deliver queries the database once a second at most."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
from rhtest import *  # noqa: E402,F403

if DB != "pgsql":
    skip_all("SQLite keeps no log of statements")
if MPM != "event":
    skip_all("only the database matters here: one MPM is enough")

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
    """Return the claims in the server's log."""
    with open(os.path.join(cluster.root, "log"), encoding="utf-8", errors="replace") as file:
        return sum("execute claim_" in line for line in file)


def most_looks(name):
    time.sleep(2)
    children = len(httpd.children())
    before, began = looks(), time.time()
    time.sleep(SECONDS)
    # A query in progress when counting began is one more, and a full walk, every half minute, takes
    # two.
    most = children * ((time.time() - began) / 0.9 + 2) + 1
    after = looks() - before
    ok(0 < after <= most, f"{name} ({after} looks of {children} processes)")


most_looks("a process with nothing to deliver queries once a second")
subscription = api.subscribe(receiver.url + "/status/500", ["*"])
app.post("/events", {"type": "employee.created", "data": {"id": 2}})
ok(wait_until(lambda: api.get(f"/subscriptions/{subscription['id']}").json["stats"]
              ["last_status_code"] == 500), "a delivery waits for its next attempt")
most_looks("a delivery that waits for long causes no more queries")
done_testing()
