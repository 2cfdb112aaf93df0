#!/usr/bin/env python3
# Licensed under the Apache License, Version 2.0: see LICENSE.
"""Whatever error the database reports, in any language and at any step, nothing that was
acknowledged is lost."""

import os
import sys
from concurrent.futures import ThreadPoolExecutor

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
from rhtest import *  # noqa: E402,F403
from pgrelay import PgRelay  # noqa: E402

if DB != "pgsql":
    skip_all("a unit test has SQLite's codes")
if MPM == "prefork":
    skip_all("one writer for all clients")

cluster = Cluster()
at_end(cluster.remove)
relay = PgRelay(os.path.join(cluster.root, ".s.PGSQL.5432"))
at_end(relay.stop)
database = Pgsql(cluster)
database.params = (f"host=127.0.0.1 port={relay.port} user=postgres connect_timeout=5 "
                   f"dbname={database.name}")
receiver, backend = Receiver(), Backend()
httpd = Httpd(backend=backend, database=database, retry="1s 1s 1s 1s",
              expect=[r"RH01(10|12|15): ", r"RH0308: ", r"RH0309: ", r"\[dbd:"])
api, app = httpd.api(), httpd.api(role="app")
api.subscribe(receiver.url + "/in", ["employee.created"])
COMMIT = rb"INSERT INTO resthooks\.event"


def create(name):
    answer = httpd.request("POST", "/employers/acme/employees", {"name": name})
    return answer.status


def arrived():
    return [json.loads(r.body)[0].get("name") for r in receiver.received("/in")]


def arrive(names, timeout=60):
    """Wait until all of these employees have arrived; return the missing ones."""
    wait_until(lambda: set(names) <= set(arrived()), timeout)
    return sorted(set(names) - set(arrived()))


is_(create("first"), 201, "an employee is created")
is_(arrive(["first"]), [], "and arrives")

# A commit fails with each class of SQLSTATE and a German text that no list knows, until the event
# is in the spool and has been refused there, too.
PASSING = ["08006", "08P01", "25006", "26000", "40001", "40P01", "42501", "42P01", "53100", "53200",
           "53300", "55P03", "57014", "57P03", "58030", "0A000", "25P02"]
for code in PASSING:
    fault = relay.breaks("B", COMMIT, code=code)
    is_(create(code), 201, f"{code}: the client has its answer")
    hits = fault.hits
    ok(wait_until(lambda: fault.hits > hits + 1), "the spool retries the event")
    relay.mend()
    is_(arrive([code]), [], "it arrives once the database accepts it")

# A captured event goes to the spool if the database refuses it because of its data or with an
# unknown error code.
for code in ("22021", "XX000", "P0001", "ABCDE"):
    relay.breaks("B", COMMIT, code=code, count=1)
    is_(create(code), 201, f"{code}: the client has its answer")
    is_(arrive([code]), [], "the event that was refused once arrives")
relay.breaks("B", COMMIT, code="22021")
answer = app.call("POST", "/events", {"type": "employee.created", "data": {"name": "published"}})
ok(answer.status >= 500, "a publisher learns that its event is refused")
relay.mend()

# Connections that break at each step, every time, and all that are tried in their place.
STEPS = {"Bind, by an error that ends it": ("B", COMMIT, "57P01"),
         "Bind, without a word": ("B", COMMIT, None),
         "PREPARE, by an error that ends it": ("Q", COMMIT, "57P01"),
         "PREPARE, without a word": ("Q", COMMIT, None),
         "the first query of a session": ("Q", b"pg_backend_pid", None),
         "the settings of a session": ("Q", b"standard_conforming_strings", "57P01"),
         "the login": ("startup", b"", "53300"),
         "the login, without a word": ("startup", b"", None)}
for step, (kind, text, code) in STEPS.items():
    cluster.restart("fast")  # opens new connections, on which nothing is prepared
    fault = relay.breaks(kind, text, code=code, fatal=True)
    names = [f"{step} {number}" for number in range(10)]
    with ThreadPoolExecutor(10) as pool:
        is_(set(pool.map(create, names)), {201}, f"broken at {step}: all clients get a response")
    ok(fault.hits > 0, f"it broke {fault.hits} times")
    relay.mend()
    is_(arrive(names), [], "all events arrive")

names = arrived()
is_([n for n in set(names) if names.count(n) > 1], [], "nothing was sent twice")
is_([line for line in open(httpd.error_log, encoding="utf-8", errors="replace")
     if re.search("RH0(612|331)", line)], [], "no event is reported as lost")
done_testing()
