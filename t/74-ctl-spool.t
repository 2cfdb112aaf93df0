#!/usr/bin/env python3
# Licensed under the Apache License, Version 2.0: see LICENSE.
"""resthooksctl spool: events that the database refused can be shown, retried, and dropped."""

import glob
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
from rhtest import *  # noqa: E402,F403
from ctl import Ctl  # noqa: E402

if DB != "pgsql":
    skip_all("here a constraint of PostgreSQL makes the database refuse events")

receiver, backend = Receiver(), Backend()
httpd = Httpd(backend=backend, retry="1s 1s", expect=[r"RH0110: ", r"RH0331: "])
httpd.api().subscribe(receiver.url + "/in", ["*"])
httpd.database.sql("ALTER TABLE resthooks.event ADD CONSTRAINT fit CHECK (data NOT LIKE '%unfit%')")
for name in ("Ada", "unfit", "Charles"):
    answer = httpd.request("POST", "/employers/acme/employees", {"name": name})
    is_(answer.status, 201, f"{name}: the client is served")
folder = httpd.path("run", "resthooks")


def refused():
    return glob.glob(os.path.join(folder, "*.refused"))


got = receiver.wait_for(2, "/in")
is_(sorted(json.loads(post.body)[0]["name"] for post in got), ["Ada", "Charles"],
    "events that the database accepts are delivered")
ok(wait_until(refused), "a refused event is kept in a file")
ok(httpd.wait_log(r"RH0331: .*resthooksctl spool"), "the log says so")
ok(wait_until(lambda: not glob.glob(os.path.join(folder, "*.spool"))), "nothing waits")
ok(any(line.endswith(" 1") for line in httpd.api().get("/metrics").text.splitlines()
       if line.startswith("resthooks_spool_refused_files{")), "the file is counted in a metric")

ctl = Ctl()
done = ctl("spool", "list", folder)
is_(done.status, 0, "the files are listed") or diag(done)
like(done.out, r"\.refused +refused +1 ", "the list has their contents")
rows = json.loads(ctl("spool", "list", folder, "--json").out)
is_([(row["state"], row["events"], row["readable"]) for row in rows], [("refused", 1, True)],
    "the list can be JSON")
done = ctl("spool", "show", refused()[0])
event = json.loads(done.out)
is_((done.status, event["tenant"], event["type"], event["data"]["name"]),
    (0, "acme", "employee.created", "unfit"), "an event is shown")

httpd.database.sql("ALTER TABLE resthooks.event DROP CONSTRAINT fit")
done = ctl("spool", "retry", *refused())
is_((done.status, done.out.count(".spool\n")), (0, 1), "it is retried once the cause is gone")
got = receiver.wait_for(3, "/in")
is_(json.loads(got[2].body)[0]["name"], "unfit", "and delivered")
ok(wait_until(lambda: not refused() and not glob.glob(os.path.join(folder, "*.spool"))),
   "nothing is left")

# Errors
bad = os.path.join(folder, "x.01900000-0000-7000-8000-000000000000.refused")
with open(bad, "wb") as file:
    file.write(b"RHSPOOL1\0\0\0\x30")
done = ctl("spool", "show", bad)
is_(done.status, 1, "a truncated file is reported")
like(done.err, "damaged, or torn", "as such")
is_(ctl("spool", "show", httpd.path("httpd.conf")).status, 1, "another kind of file is refused")
is_(ctl("spool", "list", folder + "/nowhere").status, 1, "a missing directory is reported")
is_(ctl("spool", "drop", httpd.path("httpd.conf")).status, 1, "drop removes no other files")
ok(os.path.exists(httpd.path("httpd.conf")), "which stay")
is_(ctl("spool", "drop", bad).status, 0, "a file is dropped")
ok(not os.path.exists(bad), "and gone")
done_testing()
