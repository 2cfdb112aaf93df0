#!/usr/bin/env python3
# Licensed under the Apache License, Version 2.0: see LICENSE.
# Packages: faketime
"""A host whose clock differs much from the database's: its events are stored and delivered."""

import glob
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
from rhtest import *  # noqa: E402,F403

if DB != "pgsql":
    skip_all("SQLite's clock is the host's")
library = glob.glob("/usr/lib/*/faketime/libfaketimeMT.so.1")
if not library or SANITIZED or os.environ.get("RH_MEMCHECK"):
    skip_all("no libfaketime, or not with this build")

receiver, backend = Receiver(), Backend()
for shift, words in (("+60d", "fast"), ("-60d", "slow")):
    httpd = Httpd(backend=backend, start=False, expect=[r"RH0123: "],
                  config="RestHooksRetention 10d\n")
    os.environ.update(LD_PRELOAD=library[0], FAKETIME=shift)
    httpd.start()
    del os.environ["LD_PRELOAD"], os.environ["FAKETIME"]
    api = httpd.api()
    path = "/" + words.split()[0]
    api.subscribe(receiver.url + path, ["employee.*"])
    names = [f"{words} {number}" for number in range(5)]
    for name in names:
        answer = httpd.request("POST", "/employers/acme/employees", {"name": name})
        is_(answer.status, 201, f"{shift}: an employee is created")
    got = receiver.wait_for(5, path)
    is_([json.loads(r.body)[0]["name"] for r in got], names, "all of these arrive")
    ok(wait_until(lambda: [d["state"] for d in api.get("/deliveries").json] == ["delivered"] * 5),
       "they are settled")
    like(open(httpd.error_log, encoding="utf-8").read(),
         rf"RH0123: compared with the database, this host.s clock is 51\d{{5}} s {words}",
         "the log names the difference")
    is_(httpd.database.sql(
        "SELECT count(*) FROM resthooks.event WHERE resthooks.uuid_ms(id) BETWEEN "
        "resthooks.now_ms() - 600000 AND resthooks.now_ms() + 5000"), [["5"]],
        "ids have the database's time")
done_testing()
