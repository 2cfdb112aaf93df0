#!/usr/bin/env python3
# Licensed under the Apache License, Version 2.0: see LICENSE.
"""No tenant uses up what all share: concurrent calls, subscriptions, and event sources."""

import os
import socket
import sys
from concurrent.futures import ThreadPoolExecutor

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
from rhtest import *  # noqa: E402,F403

LIMIT = 3
receiver = Receiver()
one = Vhost(name="one", extra=f"RestHooksTenantRequests {LIMIT}\nRestHooksMaxSubscriptions 3")
other = Vhost(name="other", extra=f"RestHooksTenantRequests {LIMIT}")
# A single child, since the share is per child
httpd = Httpd(vhosts=[one, other],
              config="" if MPM == "prefork" else
              "ServerLimit 1\nStartServers 1\nThreadsPerChild 25\nMaxRequestWorkers 25\n"
              "MinSpareThreads 1\nMaxSpareThreads 25\n")


def hold(vhost, tenant):
    """A call whose body never ends, which occupies a thread."""
    sock = socket.create_connection(("127.0.0.1", vhost.port))
    sock.sendall(f"POST {vhost.hooks}/subscriptions HTTP/1.1\r\nHost: localhost\r\n"
                 f"X-Tenant: {tenant}\r\nContent-Type: application/json\r\n"
                 "Content-Length: 1000\r\n\r\n{".encode())
    return sock


if MPM == "prefork":
    skip("a tenant has its share of calls", "a child of prefork has one thread")
else:
    held = [hold(one, "greedy") for _ in range(LIMIT)]

    def refused():
        """Return the 429 response. One of the held calls may have been refused, beside the one
        before."""
        got = one.api("greedy").get("/subscriptions")
        if got.status == 429:
            return got
        held.append(hold(one, "greedy"))
        return None

    answer = wait_until(refused)
    ok(answer, "a tenant that uses all of its share gets 429")
    is_((answer.type, answer.headers["Retry-After"]), ("application/problem+json", "1"),
        "as a problem, with Retry-After")
    is_(one.api("modest").get("/subscriptions").status, 200, "another tenant is served")
    is_(other.api("greedy").get("/subscriptions").status, 200,
        "so is a tenant of the same name on another host")
    is_(one.api(None).get("/health").status, 200, "requests that need no tenant are not counted")
    for sock in held:
        sock.close()
    ok(wait_until(lambda: one.api("greedy").get("/subscriptions").status == 200),
       "when calls end, new ones are served")

# The maximum number of subscriptions, also when many are created at once
many, target = one.api("many"), receiver.url + "/many"
with ThreadPoolExecutor(LIMIT) as pool:
    statuses = [a.status for a in pool.map(
        lambda n: many.post("/subscriptions", {"target_url": target, "events": ["*"]}), range(8))]
is_((statuses.count(201), set(statuses) - {201, 403, 429}), (3, set()),
    f"a tenant can't exceed the maximum number of subscriptions ({statuses})")
answer = many.post("/subscriptions", {"target_url": target, "events": ["*"]})
is_((answer.status, answer.json["detail"]), (403, "The tenant has the maximum of 3 subscriptions."),
    "one more is refused, with the reason")
is_(one.api("few").post("/subscriptions", {"target_url": target, "events": ["*"]}).status, 201,
    "another tenant has its own maximum")
many.delete("/subscriptions/" + many.get("/subscriptions").json[0]["id"])
is_(many.post("/subscriptions", {"target_url": target, "events": ["*"]}).status, 201,
    "after one is deleted another can be created")

# Lists of large events
app = one.api("large", "app")
large = {"id": 1, "text": "ä" * 35000}
ids = app.post("/events", [{"type": "employee.created", "data": large}] * 20).json["ids"]
small = app.post("/events", {"type": "employee.created", "data": {"id": 2}}).json["id"]
listed = app.get("/events?limit=500")
ok(len(listed.body) < 100000, f"a list of 4 MB of events is small ({len(listed.body)} bytes)")
shown = {row["id"]: row for row in listed.json}
is_(shown[small]["data"], {"id": 2}, "a small event is shown whole")
is_((shown[ids[0]]["data"], shown[ids[0]]["data_bytes"]),
    (None, len(json.dumps(large).encode())), "a large event has its size")
ok(json.dumps(large).startswith(shown[ids[0]]["preview"]) and len(shown[ids[0]]["preview"]) == 1024,
   "and its beginning")
is_(app.get("/events/" + ids[0]).json["data"], large, "a single event is shown whole")

# CloudEvents 1.0: source and id identify an event, under whatever host name it was subscribed to.
for path, host in (("/a", "a.example"), ("/b", "b.example")):
    made = one.api("named", Host=host).post(
        "/subscriptions", {"target_url": receiver.url + path, "events": ["*"],
                           "format": "cloudevents"})
    is_(made.status, 201, f"a subscription is created through {host}")
    ok(made.headers["Location"].startswith(f"http://{host}"),
       "its Location has the client's host name")
one.api("named", "app").post("/events", {"type": "employee.created", "data": {"id": 1}})
got = [json.loads(receiver.wait_for(1, path)[0].body) for path in ("/a", "/b")]
is_(got[0]["source"], f"http://localhost:{one.port}/hooks", "the source is the host's own name")
is_((got[0]["source"], got[0]["id"]), (got[1]["source"], got[1]["id"]),
    "the source is the same for every subscriber")
done_testing()
