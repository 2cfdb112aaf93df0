#!/usr/bin/env python3
# Licensed under the Apache License, Version 2.0: see LICENSE.
"""resthooks.publish(): a transactional outbox in the backend's own transaction."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
from rhtest import *  # noqa: E402,F403

if DB != "pgsql":
    skip_all("an SQL function of PostgreSQL")

receiver = Receiver()
httpd = Httpd(extra='RestHooksEventType payroll.closed "a month is closed"')
api, database = httpd.api("acme"), httpd.database
subscription = api.subscribe(receiver.url + "/in", ["payroll.closed"])
other = httpd.api("globex").subscribe(receiver.url + "/other", ["payroll.closed"])
DATA = '{"month": "2026-11",  "sum":1.50}'

database.sql("CREATE TABLE payroll (month text)")
began = time.time()
rows = database.sql("BEGIN; INSERT INTO payroll VALUES ('2026-11');"
                    f"SELECT resthooks.publish('acme', 'payroll.closed', '{DATA}'); COMMIT;")
got = receiver.wait_for(1, "/in")
is_(len(got), 1, "what a transaction publishes arrives after its commit")
took = got[0].time - began if got else None
ok(got and took < 30, f"it arrives soon ({took and round(took, 2)} s)")
is_(got[0].body, b"[" + DATA.encode() + b"]", "it arrives byte for byte")
like(rows[-1][0], r"^[0-9a-f-]{36}$", "the function returns the event's id")
is_(got[0].headers.get("webhook-id"), rows[-1][0], "this is the webhook-id")
ok(verify(subscription["secret"], got[0].headers, got[0].body), "signed")
is_(receiver.received("/other"), [], "another tenant gets nothing")

database.sql("BEGIN; INSERT INTO payroll VALUES ('2026-12');"
             f"SELECT resthooks.publish('acme', 'payroll.closed', '{DATA}'); ROLLBACK;")
ok(receiver.quiet(3, "/in"), "what is rolled back is not sent")
is_(len(api.get("/events").json), 1, "it is not in the log")

first = database.sql(f"SELECT resthooks.publish('acme', 'payroll.closed', '{DATA}', 'k', 'id-1')")
again = database.sql(f"SELECT resthooks.publish('acme', 'payroll.closed', '{DATA}', 'k', 'id-1')")
is_(again, first, "a known idempotency key gives the first event's id")
receiver.wait_for(2, "/in")
ok(receiver.quiet(2, "/in"), "that event is not sent twice")
is_(len(receiver.received("/in")), 2, "but once")
is_(api.get("/events").json[0]["key"], "k", "the key is stored")

for what, call in (
        ("data that is not JSON", "'acme', 'payroll.closed', '{oops'"),
        ("no tenant", "'', 'payroll.closed', '{}'"),
        ("a type that is not valid", "'acme', 'Payroll Closed', '{}'")):
    try:
        database.sql(f"SELECT resthooks.publish({call})")
        ok(False, f"{what} is refused")
    except RuntimeError as error:
        ok("ERROR" in str(error), f"{what} is refused")
ok(receiver.quiet(1), "refused events are not sent")

statement = f"SELECT resthooks.publish('acme', 'payroll.closed', '{DATA}');"
database.sql("BEGIN;" + statement * 200 + "COMMIT;")
is_(len(receiver.wait_for(202, "/in")), 202, "two hundred events of one transaction all arrive")

# The earlier state as well
database.sql("SELECT resthooks.publish('acme', 'payroll.closed', '{\"id\":9,\"role\":\"b\"}',"
             " previous => '{\"role\":\"a\"}', key => 'nine')")
shown = wait_until(lambda: [e for e in api.get("/events").json if e["key"] == "nine"])
is_((shown[0]["data"], shown[0]["previous"]), ({"id": 9, "role": "b"}, {"role": "a"}),
    "an event may have the earlier state")
done_testing()
