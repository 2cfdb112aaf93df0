#!/usr/bin/env python3
# Licensed under the Apache License, Version 2.0: see LICENSE.
"""Databases with other session defaults and encodings."""

import os
import sys
from concurrent.futures import ThreadPoolExecutor

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
from rhtest import *  # noqa: E402,F403

if DB != "pgsql":
    skip_all("SQLite has no such settings")

DEFAULTS = {"default_transaction_isolation": "serializable", "standard_conforming_strings": "off",
            "client_encoding": "LATIN1", "search_path": "odd, pg_catalog", "jit": "on",
            "lock_timeout": "'1ms'", "statement_timeout": "'1h'"}


class Other(Pgsql):
    """Create a database with these options."""

    def _psql(self, database, script):
        if script.startswith("CREATE DATABASE"):
            script += " " + self.options
        return super()._psql(database, script)

    def __init__(self, options, cluster=None):
        self.options = options
        super().__init__(cluster)


database = Pgsql()
for name, value in DEFAULTS.items():
    database.sql(f"ALTER DATABASE {database.name} SET {name} = {value}")
database.sql("CREATE SCHEMA odd")
database.sql("CREATE FUNCTION odd.\"left\"(text, integer) RETURNS text LANGUAGE sql AS 'SELECT $1'")
receiver, backend = Receiver(), Backend()
httpd = Httpd(backend=backend, database=database, extra="RestHooksTenantRequests 100\n")
api, app = httpd.api(), httpd.api(role="app")
subscription = api.subscribe(receiver.url + "/in", ["employee.*"])
path = "/subscriptions/" + subscription["id"]


def patch(number):
    return api.call("PATCH", path, {"description": f"number {number}"}).status


with ThreadPoolExecutor(60) as pool:
    statuses = list(pool.map(patch, range(60)))
is_(set(statuses), {200}, "serializable: 60 concurrent changes of a subscription all succeed")
partitions = database.sql(
    "SET search_path = pg_catalog; SELECT parent, count(*), count(until_ms) "
    "FROM resthooks.partitions GROUP BY parent ORDER BY parent")
is_([row[0] for row in partitions], ["attempt", "delivery", "event"],
    "standard_conforming_strings off: the tables have partitions")
is_([row[1] for row in partitions], [row[2] for row in partitions],
    "their bounds are read correctly")
answer = httpd.request("POST", "/employers/acme/employees", {"name": "日本 …"})
is_(answer.status, 201, "an employee is created")
got = receiver.wait_for(1)
is_(json.loads(got[0].body)[0]["name"], "日本 …",
    "client_encoding LATIN1: the text arrives unchanged")
event = api.get("/events").json[0]
is_(api.get("/events/" + event["id"]).json["data"]["name"], "日本 …", "the API shows it unchanged")
api.subscribe(receiver.url + "/ordered", ["employee.*"], ordered=True)
for number in range(20):
    httpd.request("PATCH", f"/employers/acme/employees/{answer.json['id']}", {"name": f"n {number}"})
got = receiver.wait_for(20, "/ordered")
is_([json.loads(r.body)[0]["name"] for r in got], [f"n {number}" for number in range(20)],
    "ordered events arrive in order")

# Encodings
SIZE = "TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C'"
for encoding in ("WIN1252", "LATIN1"):
    server = Httpd(backend=backend, database=Other(f"ENCODING '{encoding}' {SIZE}"), start=False,
                   expect=[r"RH0707: ", "AH00020: Configuration Failed"])
    server.start(wait=False)
    ok(wait_until(lambda: server.process.poll() is not None, 60), f"{encoding}: httpd does not start")
    log = open(server.error_log, encoding="utf-8").read()
    like(log, rf"RH0707: .*server_encoding is {encoding}", "the log names the encoding")
server = Httpd(backend=backend, database=Other(f"ENCODING 'SQL_ASCII' {SIZE}"))
answer = server.request("POST", "/employers/acme/employees", {"name": "日本"})
is_([server.api().get("/events").json[0]["type"], answer.status], ["employee.created", 201],
    "SQL_ASCII: events are stored")

# An encoding that is found only after the start
cluster = Cluster()
at_end(cluster.remove)
late = Other(f"ENCODING 'LATIN1' {SIZE}", cluster)
cluster.stop()
server = Httpd(backend=backend, database=late, start=False,
               expect=[r"RH01\d\d: ", r"RH0308: ", r"RH0309: ", r"RH07(05|21): ", r"\[dbd:"])
server.start(wait=False)


def create(name):
    try:
        return server.request("POST", "/employers/acme/employees", {"name": name}).status
    except OSError:
        return 0


ok(wait_until(lambda: create("日本") == 201, 60), "down at the start: clients are served")
cluster.start()
ok(wait_until(lambda: "LATIN1" in str(server.api().get("/health").json), 60),
   "LATIN1, found after the start: /health names the encoding")
is_(server.api().get("/health").status, 503, "it reports that not all is well")
like(open(server.error_log, encoding="utf-8").read(), "RH0721: .*server_encoding is LATIN1",
     "the log names it too")
spool = os.path.join(server.root, "run", "resthooks")
ok([name for name in os.listdir(spool) if name.endswith(".spool")],
   "captured events are in the spool")

# The schema files
for name in ("schema-pgsql.sql", "schema-sqlite.sql"):
    text = open(os.path.join(SOURCE, "conf", name), "rb").read()
    ok(text.isascii(), f"conf/{name} is ASCII, which any encoding accepts")
done_testing()
