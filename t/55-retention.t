#!/usr/bin/env python3
# Licensed under the Apache License, Version 2.0: see LICENSE.
"""Rows older than RestHooksRetention are removed without blocking others."""

import contextlib
import os
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
from rhtest import *  # noqa: E402,F403
from load import Load, settle  # noqa: E402

DAY = 86400000
OLD_ROWS = 5000
LOGS = ("event", "delivery", "attempt")
now = int(time.time() * 1000)
receiver = Receiver()
EXTRA = """
    RestHooksEventType load.made "of a load"
    RestHooksRetention 10d
"""


def table(name):
    return ("resthooks." if DB == "pgsql" else "resthooks_") + name


def uuid_at(ms, number=0):
    text = f"{ms:012x}"
    return f"{text[:8]}-{text[8:]}-7000-8000-{number:012x}"


def count(name, days_from, days_to):
    """Select rows by their age in days, which their ids contain."""
    return int(httpd.database.sql(
        f"SELECT count(*) FROM {table(name)} WHERE id >= '{uuid_at(now - days_from * DAY)}'"
        f" AND id < '{uuid_at(now - days_to * DAY)}'")[0][0])


def insert(days, rows):
    """Insert events that are some days old, each with a delivery, an attempt and an idempotency
    key."""
    ms = now - days * DAY
    prefix = uuid_at(ms)[:-12]
    if DB == "pgsql":
        numbers = f"generate_series(1, {rows}) AS n(i)"
        made = f"('{prefix}' || lpad(to_hex(n.i), 12, '0'))::uuid"
        start = ""
    else:
        numbers = "n"
        made = f"'{prefix}' || printf('%012x', n.i)"
        start = (f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n"
                 f" WHERE i < {rows}) ")
    for statement in (
            f"INSERT INTO {table('event')} (tenant, id, type, time, source, data) {start}"
            f"SELECT 'acme', {made}, 'load.made', {ms}, 'publish', '{{}}' FROM {numbers}",
            f"INSERT INTO {table('delivery')} (tenant, id, event_id, subscription_id, type, state)"
            f" {start}SELECT 'acme', {made}, {made}, '{subscription['id']}', 'load.made',"
            f" 'delivered' FROM {numbers}",
            f"INSERT INTO {table('attempt')} (tenant, id, delivery_id, number, started_at, ms,"
            f" status_code) {start}SELECT 'acme', {made}, {made}, 1, {ms}, 5, 200 FROM {numbers}",
            f"INSERT INTO {table('idempotency')} (tenant, client_id, event_id, created_at) {start}"
            f"SELECT 'acme', '{days}-' || n.i, {made}, {ms} FROM {numbers}"):
        httpd.database.sql(statement)


def keys(days):
    return int(httpd.database.sql(f"SELECT count(*) FROM {table('idempotency')}"
                                  f" WHERE client_id LIKE '{days}-%'")[0][0])


httpd = Httpd(extra=EXTRA, start=False)
if DB == "pgsql":
    # A database whose tables were created 40 days ago
    with open(os.path.join(SOURCE, "conf", "schema-pgsql.sql"), encoding="utf-8") as file:
        script = file.read()
    made_at = "SELECT resthooks.ensure_partitions(36000000);"
    assert script.count(made_at) == 1
    httpd.database.sql(script.replace(
        made_at, f"SELECT resthooks.ensure_partitions({10 * DAY}, {now - 40 * DAY});"))
httpd.start()
api, app = httpd.api(), httpd.api(role="app")
subscription = api.subscribe(receiver.url + "/in", ["load.made"])
if DB == "pgsql":
    def partitions():
        return [row[0] for row in httpd.database.sql(
            "SELECT name FROM resthooks.partitions ORDER BY parent, until_ms")]

    ok(wait_until(lambda: "event_past" not in partitions(), 120),
       "partitions older than the retention are dropped")
    ok(wait_until(lambda: httpd.database.sql(
        "SELECT count(*) FROM resthooks.partitions WHERE parent = 'event'"
        f" AND until_ms > {now + DAY}")[0][0] >= "1", 120),
        "those for the time to come are created")
    names = partitions()
    is_(len([name for name in names if name.startswith("event_")]),
        len([name for name in names if name.startswith("attempt_")]), "this holds for all logs")
    # Another old partition, as if the last housekeeping were long ago.
    for name in LOGS:
        httpd.database.sql(
            f"CREATE TABLE resthooks.{name}_old (LIKE resthooks.{name} INCLUDING ALL);"
            f"ALTER TABLE resthooks.{name} ATTACH PARTITION resthooks.{name}_old FOR VALUES FROM"
            f" ('{uuid_at(now - 90 * DAY)}') TO ('{uuid_at(now - 60 * DAY)}')")
# Each new process does housekeeping at once and then every minute, so that none other runs here.
httpd.stop()
insert(70, OLD_ROWS)
insert(5, 50)
is_([count(name, 71, 69) for name in LOGS], [OLD_ROWS] * 3, "there are old rows")
if DB == "pgsql":
    def read_log():
        """Hold a transaction open until the test ends it."""
        with contextlib.suppress(RuntimeError):
            httpd.database.sql("BEGIN; SELECT count(*) FROM resthooks.event; SELECT pg_sleep(600)")

    reader = threading.Thread(target=read_log, daemon=True)
    reader.start()
    ok(wait_until(lambda: int(httpd.database.sql(
        "SELECT count(*) FROM pg_locks WHERE relation = 'resthooks.event_old'::regclass"
        " AND pid <> pg_backend_pid()")[0][0]) > 0), "a transaction reads the log")
httpd.start()
load = Load(httpd.url, publish=True, rate=40).start()
time.sleep(4)
before = len(load.acknowledged)
if DB == "pgsql":
    ok(reader.is_alive() and "event_old" in partitions(),
       "a partition that a transaction reads is not dropped")
    ok(wait_until(lambda: len(load.acknowledged) > before + 20),
       f"publishing continues ({before} so far)")
    httpd.database.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                       " WHERE query LIKE '%pg_sleep(600)%' AND pid <> pg_backend_pid()")
    reader.join()
    httpd.graceful()
ok(wait_until(lambda: not any(count(name, 71, 69) for name in LOGS), 180),
   "old rows are removed" if DB == "sqlite3" else "it is dropped later")
ok(wait_until(lambda: keys(70) == 0, 120), "old idempotency keys are removed as well")
load.stop()
ledger = settle(receiver, "/in", [load])
diag(load.counts())
is_((ledger.missing, ledger.twice, load.doubtful), ([], [], []),
    "everything published in that time arrives, once")
ok(load.slowest < 30, f"no publisher waited long ({load.slowest:.1f} s)")
is_([count(name, 6, 4) for name in LOGS], [50] * 3, "rows younger than the retention are kept")
is_(keys(5), 50, "so are their idempotency keys")
is_(len(api.get("/events?limit=500").json), min(500, 50 + len(load.acknowledged)),
    "the log shows what is left")
ok(all(row["id"] > uuid_at(now - 6 * DAY) for row in api.get("/events?limit=500").json),
   "it shows nothing older")
done_testing()
