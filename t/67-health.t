#!/usr/bin/env python3
# Licensed under the Apache License, Version 2.0: see LICENSE.
"""/health reports what does not work, from the outcomes of real operations."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
from rhtest import *  # noqa: E402,F403

receiver, backend = Receiver(), Backend()
httpd = Httpd(backend=backend, retry="1s 1s 1s 1s 1s",
              expect=[r"RH01\d\d: ", r"RH03\d\d: ", r"RH05\d\d: ", r"RH06\d\d: ", r"RH0711: ",
                      r"\[dbd:"])
api = httpd.api()
api.subscribe(receiver.url + "/in", ["*"])
prefix = "resthooks." if DB == "pgsql" else "resthooks_"


def health(path="/health"):
    answer = api.get(path)
    return answer.status, {name for name, check in answer.json["checks"].items()
                           if check["status"] != "ok"}


def create(name="Ada"):
    is_(httpd.request("POST", "/employers/acme/employees", {"name": name}).status, 201,
        f"{name}: the client is served")


def rename(table, to):
    if DB == "pgsql":
        httpd.database.script(f"ALTER TABLE {prefix}{table} RENAME TO {to}")
    else:
        # The view for hosts of earlier versions is invalid on purpose.
        httpd.database.script("PRAGMA legacy_alter_table = ON;"
                              f" ALTER TABLE {prefix}{table} RENAME TO {prefix}{to}")


create()
receiver.wait_for(1, "/in")
is_(wait_until(lambda: health() == (200, set()) and (200, set())), (200, set()), "all is well")
is_(health("/health/live"), (200, set()), "the process responds")
is_(health("/health/ready"), (200, set()), "events can be stored")

rename("event", "event_away")
create("Commit")
got = wait_until(lambda: [h for h in [health()] if "commit" in h[1]])
is_(got and got[0][0], 503, "without the table of events, failing commits are reported")
is_(health("/health/live")[0], 200, "that is not a reason to restart httpd")
is_(health("/health/ready")[0], 200,
    "it is not a reason to take the host out of service either: the spool stores events")
rename("event_away", "event")
ok(wait_until(lambda: health()[0] == 200, 120), "once the table is back, all is well again")
ok(wait_until(lambda: any(b"Commit" in post.body for post in receiver.received("/in")), 120),
   "the event arrives")

rename("attempt", "attempt_away")
create("Settle")
got = wait_until(lambda: [h for h in [health()] if "settle" in h[1]])
is_(got and got[0][0], 503, "without the table of attempts, failing settlements are reported")
rename("attempt_away", "attempt")
create("Settled")
ok(wait_until(lambda: health()[0] == 200, 120), "all is well again")
# An outcome that cannot be stored would keep its process from claiming.
ok(wait_until(lambda: not api.get("/deliveries?state=pending").json, 120),
   "every outcome is stored in the end")

if DB == "pgsql":
    httpd.database.sql("ALTER FUNCTION resthooks.now_ms() RENAME TO now_away")
    got = wait_until(lambda: [h for h in [health()] if "claim" in h[1]])
    is_(got and got[0][0], 503, "without the database's clock, failing claims are reported")
    httpd.database.sql("ALTER FUNCTION resthooks.now_away() RENAME TO now_ms")
    ok(wait_until(lambda: health()[0] == 200, 120), "all is well again")
    name = httpd.database.name
    httpd.database.sql(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    httpd.database.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                       f" WHERE datname = '{name}' AND pid <> pg_backend_pid()")
    create("Read-only")
    ok(wait_until(lambda: health()[0] == 503), "a database that is read-only is reported")
    is_(health("/health/ready")[0], 200, "events go to the spool")
    httpd.database.sql(f"SET default_transaction_read_only = off;"
                       f" ALTER DATABASE {name} RESET default_transaction_read_only")
    httpd.database.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                       f" WHERE datname = '{name}' AND pid <> pg_backend_pid()")
    ok(wait_until(lambda: health()[0] == 200, 120), "all is well again")

spool = httpd.path("run", "resthooks")
for file, what in (("x.01900000-0000-7000-8000-000000000000.spool", "of an unknown database"),):
    path = os.path.join(spool, "pgsql-0123456789abcdef" + file[1:])
    with open(path, "wb") as out:
        out.write(b"RHSPOOL1")
    is_(wait_until(lambda: [h for h in [health()] if "spool" in h[1]]), [(503, {"spool"})],
        f"a file of the spool that is {what} is reported")
    os.unlink(path)
os.chmod(spool, 0o500)
if httpd.user:
    os.chown(spool, 0, 0)
    is_(wait_until(lambda: [h for h in [health()] if "spool" in h[1]]), [(503, {"spool"})],
        "a spool that can't be written is reported")
    os.chown(spool, httpd.user.pw_uid, httpd.user.pw_gid)
os.chmod(spool, 0o700)
ok(wait_until(lambda: health() == (200, set()), 120), "all is well in the end")
done_testing()
