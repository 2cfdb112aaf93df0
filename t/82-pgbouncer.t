#!/usr/bin/env python3
# Licensed under the Apache License, Version 2.0: see LICENSE.
# Packages: pgbouncer
"""PgBouncer between httpd and PostgreSQL, in both modes and with its default configuration: the
story, an outage, kills. Nothing is lost, and no setting stays in a session that others share."""

import glob
import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
from rhtest import *  # noqa: E402,F403
from load import Load  # noqa: E402
from pgbouncer import PgBouncer, find_pgbouncer  # noqa: E402

if DB != "pgsql":
    skip_all("PgBouncer is for PostgreSQL")
if not find_pgbouncer():
    skip_all("pgbouncer is not installed")

BUILD = os.path.dirname(os.path.dirname(find_module()))
EXPECT = [r"RH01(10|12|15): ", r"RH0308: ", r"RH0309: ", r"\[dbd:", r"exit signal Killed"]
SHOWN = ("jit", "enable_seqscan", "statement_timeout", "default_transaction_isolation")


def play(mode):
    cluster = Cluster()
    at_end(cluster.remove)
    bouncer = PgBouncer(cluster, mode, "default_pool_size = 5\n" if mode == "transaction" else "")
    at_end(bouncer.remove)
    # Behind a pooler the module has no session whose settings, or the plans that result, can be
    # checked.
    for program in [name for name in sorted(glob.glob(os.path.join(BUILD, "t/unit/test_store*")))
                    if "." not in name and not name.endswith(("_session", "_statements"))]:
        done = subprocess.run([program], env={**os.environ, "RH_PGSQL": bouncer.conninfo},
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
                              timeout=900, check=False)
        bad = [line for line in done.stdout.splitlines() if line.startswith("not ok")]
        is_(bad, [], f"{mode}: {os.path.basename(program)} passes through it")
    database = Pgsql(cluster)
    database.params = f"{bouncer.conninfo} dbname={database.name}"
    # A session's settings before the module uses it, which other clients rely on.
    database.sql(f"ALTER DATABASE {database.name} SET default_transaction_isolation = serializable")
    receiver, backend = Receiver(), Backend()
    httpd = Httpd(backend=backend, database=database, retry="1s 1s 1s 1s 1s 1s", expect=EXPECT,
                  extra='RestHooksEventType load.made "of a load"\nRestHooksTenantRequests 100\n')
    api = httpd.api()
    subscription = api.subscribe(receiver.url + "/in", ["employee.*", "load.made"])
    api.subscribe(receiver.url + "/ordered", ["employee.*"], ordered=True)

    def start_loads():
        return [Load(httpd.url, workers=4, rate=100, publish=publish).start()
                for publish in (True, False)]

    def arrive(loads, what):
        """End the loads; everything that was acknowledged must arrive."""
        sent = {pair for load in loads for pair in load.stop().acknowledged}
        ok(sent, f"{mode}: {what}: {len(sent)} events are acknowledged")
        wait_until(lambda: not missing(sent), 240, 0.3)
        is_(missing(sent), [], f"{mode}: {what}: all of these arrive")

    def missing(sent):
        items = [json.loads(r.body)[0] for r in receiver.received("/in")]
        return sorted(sent - {(str(item["id"]), item["number"]) for item in items
                              if "number" in item})

    answer = httpd.request("POST", "/employers/acme/employees", {"name": "Ada"})
    is_(answer.status, 201, f"{mode}: an employee is created")
    receiver.wait_for(1, "/in")
    person = f"/employers/acme/employees/{answer.json['id']}"
    for number in range(30):
        httpd.request("PATCH", person, {"name": f"name {number}"})
    got = receiver.wait_for(31, "/ordered")
    is_([json.loads(r.body)[0]["name"] for r in got][1:], [f"name {n}" for n in range(30)],
        f"{mode}: what is ordered arrives in order")
    is_({api.call("PATCH", "/subscriptions/" + subscription["id"], {"description": f"{n}"}).status
         for n in range(20)}, {200}, f"{mode}: subscriptions are changed")
    reads = ["/subscriptions", "/subscriptions?active=true&event=employee.created", "/deliveries",
             "/deliveries?state=delivered&event=employee.updated", "/events?type=employee.created",
             "/events", "/event-types", "/stats", "/health", "/metrics",
             f"/subscriptions/{subscription['id']}/deliveries?state=pending&limit=1",
             "/deliveries/" + api.get("/deliveries").json[0]["id"]]
    is_([path for path in reads if api.get(path).status != 200], [], f"{mode}: all of it is read")
    is_(api.call("POST", f"/subscriptions/{subscription['id']}/replay",
                 {"from": "2020-01-01T00:00:00Z", "state": "any"}).status, 202,
        f"{mode}: a replay is begun")

    loads = start_loads()
    time.sleep(3)
    arrive(loads, "under load")
    if mode == "transaction":
        names = database_sessions(bouncer, database)
        is_(names, [["on", "on", "0", "serializable"]] * len(names),
            "transaction: no setting of the module stays in a session of the pool")

    # The server behind the pooler dies, then the pooler itself.
    loads = start_loads()
    time.sleep(1)
    for number in range(3):
        database_kill(cluster)
        time.sleep(0.7)
    cluster.restart("immediate")
    time.sleep(1)
    bouncer.kill()
    time.sleep(3)
    bouncer.start()
    time.sleep(1)
    arrive(loads, "over kills and an outage")
    children = httpd.children()
    loads = start_loads()
    time.sleep(0.5)
    os.kill(children[0], signal.SIGKILL)
    time.sleep(1.5)
    arrive(loads, "over a kill of a child")
    ok(wait_until(lambda: api.get("/health").status == 200, 180), f"{mode}: /health is well again")
    is_([line for line in open(httpd.error_log, encoding="utf-8", errors="replace")
         if re.search("RH0(612|331)|prepared statement", line)], [],
        f"{mode}: no event is named as lost, no statement is missed")


def database_kill(cluster):
    """End all sessions of the server."""
    Pgsql._psql(Base(cluster), "postgres", "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()")


class Base:
    """Do what Pgsql._psql expects."""

    def __init__(self, cluster):
        self._base = cluster.conninfo


def database_sessions(bouncer, database):
    """Return the settings of the pool's sessions as another client sees them."""
    pool = Base(bouncer)
    out = []
    for _ in range(8):
        text = "SELECT " + ", ".join(f"current_setting('{name}')" for name in SHOWN)
        rows = Pgsql._psql(pool, database.name, text).strip().split("\x1f")
        out.append(rows)
    return out


for mode in ("transaction", "session"):
    play(mode)
done_testing()
