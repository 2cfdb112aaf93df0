#!/usr/bin/env python3
# Licensed under the Apache License, Version 2.0: see LICENSE.
"""PostgreSQL's primary dies under load, its synchronous standby is promoted, and nothing is
lost."""

import os
import shutil
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
from rhtest import *  # noqa: E402,F403
from load import Load, settle  # noqa: E402

if DB != "pgsql":
    skip_all("SQLite has no standby")
if MPM != "event":
    skip_all("only the database matters here: one MPM is enough")


class Standby(Cluster):
    """A copy of a primary that follows it."""

    def __init__(self, primary):
        self.root = os.path.join(primary.root, "standby")
        os.mkdir(self.root)
        self._user = primary._user
        if self._user:
            os.chown(self.root, self._user["user"], self._user["group"])
        os.chmod(self.root, 0o711)
        self.data = os.path.join(self.root, "data")
        self._log = os.path.join(self.root, "log")
        self.conninfo = f"host={self.root} user=postgres connect_timeout=5"
        self.tool("pg_basebackup", "-h", primary.root, "-U", "postgres", "-D", self.data, "-R",
                  "-X", "stream", "-c", "fast")
        with open(os.path.join(self.data, "postgresql.conf"), "a", encoding="utf-8") as file:
            file.write(f"unix_socket_directories = '{self.root}'\n"
                       f"primary_conninfo = 'host={primary.root} user=postgres "
                       "application_name=standby'\n")
        with open(os.path.join(self.data, "postgresql.auto.conf"), "w", encoding="utf-8"):
            pass
        self.running = False
        self.start()

    def promote(self):
        self.tool("pg_ctl", "-D", self.data, "-w", "promote")

    def remove(self):
        if self.running:
            self.stop("immediate")
        shutil.rmtree(self.root, ignore_errors=True)


primary = Cluster("wal_level = replica\nmax_wal_senders = 4\nhot_standby = on\n")
at_end(primary.remove)
standby = Standby(primary)
at_end(standby.remove)
database = Pgsql(primary)
database.sql("ALTER SYSTEM SET synchronous_standby_names = 'standby'")
database.sql("SELECT pg_reload_conf()")
ok(wait_until(lambda: database.sql("SELECT sync_state FROM pg_stat_replication") == [["sync"]]),
   "a standby follows the primary synchronously")
database.params = (f"host={primary.root},{standby.root} user=postgres connect_timeout=3"
                   f" target_session_attrs=read-write dbname={database.name}")

receiver, backend = Receiver(), Backend()
httpd = Httpd(backend=backend, database=database, retry="1s 1s 1s 1s", extra="""
    RestHooksEventType load.made "of a load"
    RestHooksTimeout 10s
""", expect=[r"RH01\d\d: ", r"RH0309: ", r"\[dbd:"])
api = httpd.api()
every = api.subscribe(receiver.url + "/every", ["load.made"])
changed = api.subscribe(receiver.url + "/changed", ["employee.updated"], ordered=True)
loads = [Load(httpd.url, publish=True, rate=40), Load(httpd.url, rate=20)]
for load in loads:
    load.start()
time.sleep(3)
primary.stop("immediate")
time.sleep(2)
during = [len(load.acknowledged) for load in loads]
standby.promote()
ok(wait_until(lambda: api.get("/subscriptions").status == 200, 120),
   "after the primary's death the API works on the standby")
time.sleep(3)
for load in loads:
    load.stop()
ok(all(len(load.acknowledged) > count for load, count in zip(loads, during)),
   "events are accepted all the time")
database._base = standby.conninfo
database.cluster = standby
for path, load in (("/every", loads[0]), ("/changed", loads[1])):
    ledger = settle(receiver, path, [load])
    diag(f"{path}: {load.counts()}, {len(ledger.posts)} arrived")
    is_((ledger.missing, ledger.invented), ([], []), f"{path}: nothing is lost")
    is_(ledger.twice, [], f"{path}: nothing is sent twice")
    is_(load.doubtful, [], f"{path}: no call was refused")
    if path == "/changed":
        is_(ledger.disorder, [], f"{path}: in order")
is_({row["state"] for row in wait_until(
    lambda: not api.deliveries(changed["id"], "?state=pending") and
    api.deliveries(changed["id"], "?limit=500"), 180) or []}, {"delivered"},
    "everything is settled")
counts = database.sql("SELECT count(*), count(DISTINCT id) FROM resthooks.event")[0]
is_(counts[0], counts[1], "each event is there once")
done_testing()
