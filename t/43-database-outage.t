#!/usr/bin/env python3
# Licensed under the Apache License, Version 2.0: see LICENSE.
"""A database goes away: clients are unharmed, and deliveries resume."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
from rhtest import *  # noqa: E402,F403

if DB != "pgsql":
    skip_all("SQLite is a file: it doesn't go away")

cluster = Cluster()
at_end(cluster.remove)
receiver, backend = Receiver(), Backend()
httpd = Httpd(backend=backend, database=Pgsql(cluster), retry="2s 2s 2s 2s 2s",
              expect=[r"RH\d{4}: ", r"\[dbd:"])
api, app = httpd.api(), httpd.api(role="app")
subscription = api.subscribe(receiver.url + "/in", ["employee.*"])


def create(name):
    began = time.monotonic()
    answer = httpd.request("POST", "/employers/acme/employees", {"name": name})
    return answer.status, answer.json and answer.json["name"], time.monotonic() - began


def arrives(name, timeout=60):
    """Wait for the employee of this name."""
    return wait_until(lambda: [r for r in receiver.received("/in")
                               if json.loads(r.body)[0].get("name") == name], timeout)


is_(create("before")[:2], (201, "before"), "an employee is created")
ok(arrives("before"), "and arrives")

cluster.restart()
is_(create("restarted")[:2], (201, "restarted"), "after a restart the client gets its response")
create("later")
ok(arrives("later"), "what is created arrives")
is_(wait_until(lambda: api.get("/subscriptions").status == 200), True, "the API works again")
workers = [api.get("/subscriptions").status for _ in range(40)]
is_(set(workers), {200}, "it works on every connection of the pool")

cluster.restart("immediate")
wait_until(lambda: api.get("/subscriptions").status == 200)
create("crashed")
ok(arrives("crashed"), "a crash of the database is survived too")

# A delivery whose retry is due during an outage
receiver.on("/flaky", lambda received, number: (500,) if number == 1 else (200,))
flaky = api.subscribe(receiver.url + "/flaky", ["employee.created"])
create("flaky")
receiver.wait_for(1, "/flaky")
wait_until(lambda: [d for d in api.deliveries(flaky["id"]) if d["attempt_count"] == 1])
cluster.stop("immediate")
status, name, took = create("outage")
is_((status, name), (201, "outage"), "during an outage the captured client gets its response")
ok(took < 30, f"the response comes in bounded time ({took:.1f} s)")
create("outage too")
for method, path, body in (("GET", "/subscriptions", None), ("GET", "/deliveries", None),
                           ("POST", "/subscriptions",
                            {"target_url": receiver.url, "events": ["*"]}),
                           ("DELETE", "/subscriptions/" + flaky["id"], None)):
    began = time.monotonic()
    answer = api.call(method, path, body)
    is_((answer.status, answer.type), (503, "application/problem+json"),
        f"{method} {path.split('/')[1]}: 503 during an outage")
    ok(answer.headers["Retry-After"], "the API's 503 has Retry-After")
    ok(time.monotonic() - began < 40, "it comes in bounded time")
answer = api.get("/health")
is_((answer.status, answer.json["status"], answer.json["checks"]["database"]["status"]),
    (503, "fail", "fail"), "/health reports the outage")
time.sleep(5)
cluster.start()
first = receiver.received("/flaky")[0].headers["webhook-id"]
ok(wait_until(lambda: [r.headers["webhook-id"] for r in receiver.received("/flaky")].count(first)
              == 2), "the waiting delivery resumes by itself")
wait_until(lambda: api.get("/subscriptions").status == 200)
ok(wait_until(lambda: api.get("/health").json["status"] == "ok"), "/health is well again")
create("after")
ok(arrives("after"), "new events arrive")
ok(arrives("outage"), "what happened during the outage arrives")
ok(arrives("outage too"), "all of it arrives")
names = [json.loads(r.body)[0].get("name") for r in receiver.received("/in")]
is_([n for n in names if n.startswith("outage")], ["outage", "outage too"],
    "it arrives once and in order")
ok(wait_until(lambda: all(d["state"] == "delivered" for d in api.deliveries(flaky["id"])
                          if d["type"] == "employee.created")), "everything is settled")

# The database is down at the start
httpd.stop()
cluster.stop()
httpd.start(wait=False)


def answers():
    try:
        return httpd.request("GET", "/employers/acme/employees").status == 200
    except OSError:
        return False


ok(wait_until(answers, 60), "down at start: httpd starts nevertheless")
is_(create("early")[:2], (201, "early"), "clients get their responses")
is_(api.get("/subscriptions").status, 503, "the API responds with 503")
cluster.start()
ok(wait_until(lambda: api.get("/subscriptions").status == 200, 60),
   "the API works once the database does")
ok(arrives("early"), "what happened before that arrives")
create("up")
ok(arrives("up"), "new events arrive")
done_testing()
