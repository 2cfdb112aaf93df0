#!/usr/bin/env python3
# Licensed under the Apache License, Version 2.0: see LICENSE.
"""Root follows no path that httpd's user can change."""

import os
import stat
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
from rhtest import *  # noqa: E402,F403

if os.geteuid() != 0:
    skip_all("only root has privileges to misuse")

receiver, backend = Receiver(), Backend()
httpd = Httpd(backend=backend, config="RestHooksSpool spools/one\n", start=False,
              extra='RestHooksLog mine/attempts.log "%s"\n')
user = httpd.user
precious = httpd.path("precious")
os.mkdir(precious, 0o755)
for name in ("spools", "mine"):
    os.mkdir(httpd.path(name), 0o755)


def owner(path):
    info = os.lstat(path)
    return info.st_uid, stat.S_IMODE(info.st_mode)


def replace_spool(target):
    """Do what a program that runs as httpd's user can do in a directory of its own."""
    if os.path.islink(httpd.path("theirs", "spool")):
        os.unlink(httpd.path("theirs", "spool"))
    else:
        os.rmdir(httpd.path("theirs", "spool"))
    os.symlink(target, httpd.path("theirs", "spool"))
    os.lchown(httpd.path("theirs", "spool"), user.pw_uid, user.pw_gid)


# A directory of root's: root creates the spool in it, and makes httpd's user its owner.
httpd.start()
is_(owner(httpd.path("spools", "one")), (user.pw_uid, 0o700),
    "where only root may write, root creates the spool's directory for httpd's user")
is_(owner(httpd.path("spools")), (0, 0o755), "nothing else is changed")
is_(owner(httpd.path("mine", "attempts.log"))[0], 0, "a log in root's directory belongs to root")
if DB == "sqlite3":
    is_({owner(os.path.join(httpd.path("db"), name)) for name in os.listdir(httpd.path("db"))},
        {(user.pw_uid, 0o600)}, "only their owner can read the database's files")
httpd.stop()
if DB == "sqlite3":
    httpd.expect(r"RH0(705|309|1\d\d): ", r"AH00098: ")
    # Files as version 0.1 made them; and under these names, files that belong to others too.
    main = httpd.database.params
    os.mkdir(httpd.path("kept"), 0o755)
    foreign, linked = httpd.path("kept", "foreign"), httpd.path("kept", "linked")
    for path in (foreign, linked, main + "-shm"):
        with open(path, "wb") as file:
            file.write(b"kept")  # SQLite itself restricts an empty file
        os.chmod(path, 0o644)
    for path in (linked, main + "-shm"):
        os.chown(path, user.pw_uid, user.pw_gid)
    os.chmod(main, 0o644)
    os.symlink(foreign, main + "-wal")
    httpd.start(wait=False)
    ok(httpd.wait_log(r"RH0712: .*hooks0\.db had mode 0644 .* now 0600"),
       "a database that others may read is restricted, and that is logged")
    ok(httpd.wait_log(r"RH0712: .*hooks0\.db-shm had mode 0644"), "so are the files beside it")
    is_(owner(main), (user.pw_uid, 0o600), "its mode is that of a new one")
    is_(owner(foreign), (0, 0o644), "a link in its place is not followed")
    httpd.kill()
    for name in ("-wal", "-shm"):
        if os.path.lexists(main + name):
            os.unlink(main + name)
    os.link(linked, main + "-wal")
    os.chmod(main, 0o640)
    httpd.start(wait=False)
    ok(httpd.wait_log(r"RH0712: .*hooks0\.db had mode 0640"), "a group loses its access too")
    is_(owner(linked), (user.pw_uid, 0o644), "a file with a second name is not changed")
    httpd.kill()
    for name in ("-wal", "-shm"):
        if os.path.lexists(main + name):
            os.unlink(main + name)

# A directory of httpd's user
os.mkdir(httpd.path("theirs"), 0o755)
os.chown(httpd.path("theirs"), user.pw_uid, user.pw_gid)
httpd.server_config = "RestHooksSpool theirs/spool\n"
httpd.write_config()
httpd.start()
is_(owner(httpd.path("theirs", "spool")), (user.pw_uid, 0o700), "the user creates its own spool")
httpd.expect(r"RH0709: ", r"AH000(19|20): ")
replace_spool(precious)
ok(httpd.graceful(), "at a graceful restart the spool is a link to a directory of root's")
is_(owner(precious), (0, 0o755), "that directory still belongs to root")
ok(httpd.wait_log(r"RH0709: .*theirs/spool: it is a symbolic link"), "the log gives the reason")
is_(httpd.api().get("/subscriptions").status, 200, "httpd keeps running")
httpd.stop()
httpd.start(wait=False)
ok(httpd.wait_end() != 0, "httpd does not start")
is_(owner(precious), (0, 0o755), "the directory still belongs to root")

os.unlink(httpd.path("theirs", "spool"))
os.mkdir(httpd.path("theirs", "spool"))
httpd.start(wait=False)
ok(httpd.wait_end() != 0, "a spool that belongs to another user is refused")
ok(httpd.wait_log(r"RH0709: .*theirs/spool: it belongs to the user 0, not to httpd's User"),
   "by name")
is_(owner(httpd.path("theirs", "spool")), (0, 0o755), "its owner is not changed")
os.rmdir(httpd.path("theirs", "spool"))

# A parent directory that leads elsewhere
os.symlink(precious, httpd.path("theirs", "up"))
httpd.server_config = "RestHooksSpool theirs/up/spool\n"
httpd.write_config()
httpd.start(wait=False)
ok(httpd.wait_end() != 0, "a link of the user's in the spool's path is refused")
is_(os.listdir(precious), [], "nothing is created where it leads")
os.unlink(httpd.path("theirs", "up"))

# RestHooksLog where the user may write: root follows no link there.
secret = os.path.join(precious, "shadow")
with open(secret, "w", encoding="ascii") as file:
    file.write("root's\n")
os.chmod(secret, 0o600)
os.symlink(secret, httpd.path("theirs", "attempts.log"))
httpd.expect(r"RH0810: ")
httpd.server_config = "RestHooksSpool spools/one\n"
httpd.vhosts[0].extra = 'RestHooksLog theirs/attempts.log "%s"\n'
httpd.write_config()
httpd.start(wait=False)
ok(httpd.wait_end() != 0, "a log that is a link in a directory of the user's is refused")
with open(secret, encoding="ascii") as file:
    is_(file.read(), "root's\n", "the target of the link is unchanged")
os.unlink(httpd.path("theirs", "attempts.log"))
httpd.start()
is_(owner(httpd.path("theirs", "attempts.log"))[0], user.pw_uid,
    "a log in a directory of the user's belongs to the user")
done_testing()
