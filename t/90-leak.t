#!/usr/bin/env python3
# Licensed under the Apache License, Version 2.0: see LICENSE.
"""Ten thousand captured events do not increase the resident memory."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
from rhtest import *  # noqa: E402,F403

import http.client
import threading

if SANITIZED:
    skip_all("a sanitized module keeps freed memory on purpose")

if MPM != "event":
    skip_all("measured with mpm_event")

WARM, EVENTS, CLIENTS = 4000, 10000, 8
receiver, backend = Receiver(), Backend()
httpd = Httpd(backend=backend, config="MaxConnectionsPerChild 0")
api = httpd.api()
subscription = api.subscribe(receiver.url + "/in", ["employee.updated"])
place = httpd.request("POST", "/employers/acme/employees", {"name": "Ada"}).headers["Location"]


def work(count, statuses):
    connection = http.client.HTTPConnection("127.0.0.1", httpd.port, timeout=60)
    for number in range(count):
        connection.request("PATCH", place, json.dumps({"number": number}),
                           {"Content-Type": "application/json"})
        response = connection.getresponse()
        response.read()
        statuses.append(response.status)
    connection.close()


def capture(count):
    """Capture a number of events, and wait until they have arrived."""
    statuses = []
    before = len(receiver.received())
    threads = [threading.Thread(target=work, args=(count // CLIENTS, statuses))
               for _ in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    got = 0
    while got < count:  # continues as long as more arrive, however slowly
        last, got = got, len(receiver.wait_for(before + count, timeout=120)) - before
        if got == last:
            break
    time.sleep(2)
    return statuses.count(200), got


def resident():
    return sum(httpd.memory(pid) for pid in httpd.children())


is_(capture(WARM), (WARM, WARM), "events are captured and delivered")
before, children = resident(), httpd.children()
is_(capture(EVENTS), (EVENTS, EVENTS), "ten thousand more are")
after = resident()
is_(httpd.children(), children, "by the same processes")
ok(after - before < 4096, f"resident memory is flat: {before} kB before, {after} kB after")
done_testing()
