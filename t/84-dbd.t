#!/usr/bin/env python3
# Licensed under the Apache License, Version 2.0: see LICENSE.
"""mod_dbd: its settings apply to every connection, and a database that accepts connections without
responding delays nothing for long."""

import os
import sys
from concurrent.futures import ThreadPoolExecutor

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
from rhtest import *  # noqa: E402,F403
from relay import Relay  # noqa: E402

if DB != "pgsql":
    skip_all("SQLite has no connections that others can see")

cluster = Cluster()
at_end(cluster.remove)
relay = Relay(os.path.join(cluster.root, ".s.PGSQL.5432"))
at_end(relay.stop)
database = Pgsql(cluster)
# Without connect_timeout, which the module adds.
database.params = f"host=127.0.0.1 port={relay.port} user=postgres dbname={database.name}"
receiver, backend = Receiver(), Backend()
httpd = Httpd(backend=backend, database=database, retry="1s 1s 1s 1s 1s 1s",
              extra="DBDInitSQL \"SET application_name = 'of the administrator'\"\nDBDMax 4\n",
              expect=[r"RH01(10|12|15): ", r"RH0308: ", r"RH0309: ", r"\[dbd:", "AH00045"])
api = httpd.api()
api.subscribe(receiver.url + "/in", ["employee.*"])


def create(name):
    began = time.monotonic()
    status = httpd.request("POST", "/employers/acme/employees", {"name": name}).status
    return status, time.monotonic() - began


def ask(number):
    began = time.monotonic()
    status = api.get("/subscriptions").status
    return status, time.monotonic() - began


def arrive(names):
    found = lambda: {json.loads(r.body)[0].get("name") for r in receiver.received("/in")}
    wait_until(lambda: set(names) <= found())
    return sorted(set(names) - found())


def sessions():
    return [row[0] for row in database.sql(
        "SELECT application_name FROM pg_stat_activity WHERE backend_type = 'client backend' "
        f"AND datname = '{database.name}' AND pid <> pg_backend_pid()")]


# DBDInitSQL
create("first")
is_(arrive(["first"]), [], "an event arrives")
names = sessions()
ok(len(names) >= 3, f"requests and threads have connections: {len(names)}")
is_(set(names), {"of the administrator"}, "DBDInitSQL was run on all of them")
database.sql("SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE backend_type = "
             f"'client backend' AND datname = '{database.name}' AND pid <> pg_backend_pid()")
ok(wait_until(lambda: ask(0)[0] == 200), "after its connections were ended the API works")
create("second")
is_(arrive(["second"]), [], "events arrive")
for _ in range(20):
    ask(0)
ok(wait_until(lambda: set(sessions()) == {"of the administrator"}),
   "DBDInitSQL was run on the new connections")

# A database that accepts connections and stays silent; the existing connections are ended.
relay.hold()
relay._close_all()
silent = [f"silent {number}" for number in range(12)]
with ThreadPoolExecutor(24) as pool:
    asked = [pool.submit(ask, number) for number in range(8)]
    created = list(pool.map(create, silent))
    asked = [one.result() for one in asked]
is_({status for status, _ in created}, {201}, "silence: captured clients get their responses")
slowest = max(took for _, took in created)
ok(slowest < 30, f"in bounded time, the slowest in {slowest:.1f} s")
is_({status for status, _ in asked}, {503}, "eight calls of the API at once get 503")
slowest = max(took for _, took in asked)
ok(slowest < 38, f"they do not wait for each other: the slowest in {slowest:.1f} s")
again = [create(f"again {number}") for number in range(10)]
is_({status for status, _ in again}, {201}, "later calls get a response")
ok(sum(took for _, took in again) < 35, "they don't wait for the database")
relay.mend()
relay._close_all()
is_(arrive(silent + [f"again {number}" for number in range(10)]), [],
    "all events arrive when the database responds again")
ok(wait_until(lambda: ask(0)[0] == 200), "the API works again")
done_testing()
