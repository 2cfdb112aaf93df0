#!/usr/bin/env python3
# Licensed under the Apache License, Version 2.0: see LICENSE.
"""The spool belongs to a database, whatever happens to the virtual hosts."""

import glob
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
from rhtest import *  # noqa: E402,F403

if DB != "pgsql":
    skip_all("SQLite is a file: it doesn't go away")

DOWN = [r"RH01\d\d: ", r"RH0309: ", r"RH0705: ", r"\[dbd:", r"RH07\d\d: .*database"]
cluster = Cluster()
at_end(cluster.remove)
receiver = Receiver()
database, other_database = Pgsql(cluster), Pgsql(cluster)
number = 0


def host(name="kept", base=None, database=database, **more):
    one = Vhost(name=name, rules='RestHooksEventType row.made "of some key"', database=database,
                retry="1s 1s 1s 1s 1s 1s", **more)
    if base:  # the same host with another configuration
        one.port, one.url = base.port, base.url
    return one


kept = host()
httpd = Httpd(vhosts=[kept], expect=DOWN)
kept.api().subscribe(receiver.url + "/in", ["*"])
folder = httpd.path("run", "resthooks")


def files(suffix=".spool"):
    return sorted(glob.glob(os.path.join(folder, "*" + suffix)))


def change_while_down(what, vhosts, between=lambda: None):
    """Publish while the database is down; stop; change the configuration; start with the
    database."""
    global number
    receiver.clear()
    cluster.stop("immediate")
    for _ in range(10):
        number += 1
        answer = httpd.vhosts[0].api(role="app").post(
            "/events", {"type": "row.made", "tenant": "acme", "data": {"number": number}})
        if answer.status != 202:
            diag(str(answer))
    httpd.stop()
    ok(files(), f"{what}: events wait in the spool")
    between()
    cluster.start()
    httpd.vhosts, httpd.port, httpd.url = vhosts, vhosts[0].port, vhosts[0].url
    httpd.write_config()
    httpd.start()
    got = [json.loads(post.body)[0]["number"] for post in receiver.wait_for(10, "/in")]
    is_(sorted(set(got)), list(range(number - 9, number + 1)), f"{what}: all are delivered")
    ok(wait_until(lambda: not files()), f"{what}: no file is left")


first = host("first", database=other_database)
change_while_down("nothing changes", [kept])
is_(len({name.split(".")[0] for name in map(os.path.basename, files())}), 0, "the spool is empty")
change_while_down("an unrelated host is added after it", [kept, first])
change_while_down("that host is removed", [kept])
change_while_down("a host with the same database is added before it", [host("same"), kept])
change_while_down("and goes", [kept])
changed = host(base=kept, extra="ServerName renamed.example")
change_while_down("ServerName changes", [changed])
change_while_down("another port", [kept := host()])
change_while_down("other settings", [host(base=kept, extra="RestHooksTimeout 3s"),
                                     host("more", extra="RestHooksTimeout 4s")])
moved = host(base=kept)
moved.database = Pgsql.__new__(Pgsql)
moved.database.__dict__.update(database.__dict__)
moved.database.params = database.params + " password=new application_name=hooks"
moved.database.remove = lambda: None
change_while_down("another password", [moved])


def rename_as_0_1():
    """Name the files as version 0.1 did: after the first host that used the database."""
    for path in files():
        name = os.path.basename(path)
        os.rename(path, os.path.join(folder, "127_0_0_1_8080" + name[name.index("."):]))


change_while_down("files of version 0.1", [moved], rename_as_0_1)

# A file of a database that no virtual host uses any more
httpd.stop()
orphan = os.path.join(folder, "pgsql-0123456789abcdef.01900000-0000-7000-8000-000000000000.spool")
with open(orphan, "wb") as file:
    file.write(b"RHSPOOL1")
os.chown(orphan, httpd.user.pw_uid if httpd.user else os.getuid(), -1)
httpd.expect(r"RH0711: ")
httpd.start()
ok(httpd.wait_log(r"RH0711: .* 1 files .*pgsql-0123456789abcdef\."),
   "a file for a database that no host uses is named in the log at start")
ok("resthooks_spool_orphaned_files{" in moved.api().get("/metrics").text,
                                   "it is counted in a metric")
ok(any(line.endswith(" 1") for line in moved.api().get("/metrics").text.splitlines()
       if line.startswith("resthooks_spool_orphaned_files{")), "the metric has its number")
ok(os.path.exists(orphan), "the file is kept")
done_testing()
