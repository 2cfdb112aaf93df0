#!/usr/bin/env python3
# Licensed under the Apache License, Version 2.0: see LICENSE.
"""The spool: what happens while the database is down arrives, once, in order."""

import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
from rhtest import *  # noqa: E402,F403
from load import Load, settle  # noqa: E402

if DB != "pgsql":
    skip_all("SQLite is a file: it doesn't go away")

EXTRA = """
    RestHooksEventType row.made "of some key"
    RestHooksEventType load.made "of a load"
    RestHooksTimeout 10s
"""
DOWN = [r"RH0115: ", r"RH0309: ", r"RH0705: ", r"\[dbd:", r"AH00098", r"exit signal Killed",
        r"RH01\d\d: "]
cluster = Cluster()
at_end(cluster.remove)
receiver, backend = Receiver(), Backend()
httpd = Httpd(backend=backend, database=Pgsql(cluster), retry="1s 1s 1s 1s 1s", extra=EXTRA,
              expect=DOWN)
api, app = httpd.api(), httpd.api(role="app")
changed = api.subscribe(receiver.url + "/changed", ["employee.updated"], ordered=True)
rows = api.subscribe(receiver.url + "/rows", ["row.made"], ordered=True)


def publish(key, numbers, **fields):
    """Publish events in one call; return the status code and the ids."""
    answer = app.call("POST", "/events", [{"type": "row.made", "key": key,
                                           "data": {"id": key, "number": n}, **fields}
                                          for n in numbers])
    return answer.status, answer.json.get("ids") if answer.json else None


def arrived(key, path="/rows"):
    items = [json.loads(r.body)[0] for r in receiver.received(path)]
    return [item["number"] for item in items if str(item["id"]) == key]


def spooled(folder=None):
    """Return how many bytes wait in the spool's files."""
    folder = folder or httpd.path("run", "resthooks")
    return sum(os.path.getsize(os.path.join(folder, name)) for name in os.listdir(folder))


person = httpd.request("POST", "/employers/acme/employees", {"name": "Ada"}).json["id"]


def change(number):
    answer = httpd.request("PATCH", f"/employers/acme/employees/{person}", {"number": number})
    return answer.status


is_(publish("a", [1])[0], 202, "an event is published")
is_(change(1), 200, "another is captured")
ok(wait_until(lambda: arrived("a") == [1] and arrived(str(person), "/changed") == [1]),
   "both arrive")

# An outage, under load

load = Load(httpd.url, rate=30, workers=3).start()
everything = Load(httpd.url, publish=True, type="row.made", rate=30, workers=3).start()
time.sleep(1)
cluster.stop("immediate")
status, ids = publish("a", [2, 3])
is_((status, len(ids or [])), (202, 2), "during an outage published events are accepted")
first_id = (publish("b", [1], id="once") or (0, [None]))[1]
again_id = (publish("b", [1], id="once") or (0, [None]))[1]
is_([change(n) for n in (2, 3)], [200, 200], "captured requests are served")
time.sleep(2)
ok(spooled() > 0, "the events are in the spool")

# Kill httpd with a full spool, and start it with the database still down.

httpd.kill()
load.stop()
everything.stop()
ok(spooled() > 0, "kill -9 does not change the spool")
httpd.start(wait=False)


def answers():
    try:
        return httpd.request("GET", "/employers/acme/employees").status == 200
    except OSError:
        return False


ok(wait_until(answers, 120), "httpd starts again without the database")
is_(publish("a", [4, 5])[0], 202, "it accepts events")
is_(change(4), 200, "it serves requests")
later = Load(httpd.url, publish=True, type="row.made", rate=20, workers=2).run(2)
cluster.start()
ok(wait_until(lambda: arrived("a")[-1:] == [5] and
              arrived(str(person), "/changed")[-1:] == [4], 180),
   "once the database is back, everything arrives")
is_(arrived("a"), [1, 2, 3, 4, 5], "published events: in order, once")
is_(arrived(str(person), "/changed"), [1, 2, 3, 4], "captured events: in order, once")
is_(arrived("b"), [1], "events published twice under one id: once")
for path, its in (("/changed", [load]), ("/rows", [everything, later])):
    ledger = settle(receiver, path, its)
    diag(f"{path}: {'; '.join(one.counts() for one in its)}; {len(ledger.posts)} arrived")
    is_(ledger.missing, [], f"{path}: of the load nothing is lost")
    is_(ledger.disorder, [], f"{path}: each key is in order")
    ok(max(one.slowest for one in its) < 40, f"{path}: no client waited long")
table = httpd.database.sql("SELECT count(*), count(DISTINCT id) FROM resthooks.event")[0]
is_(table[0], table[1], "each event is in the database once")
ok(wait_until(lambda: spooled() == 0, 120), "the spool is empty")
is_(publish("b", [2], id="once")[0], 202, "the idempotency key of a spooled event is known")
time.sleep(1)
is_(arrived("b"), [1], "an event with the same key is not sent again")
is_(publish("a", [6])[0], 202, "new events arrive")
ok(wait_until(lambda: arrived("a")[-1:] == [6]), "they do not go through the spool")

# A child dies with a full spool, and the database is back before the next child starts.

cluster.stop("immediate")
publish("k", [1])
for number in range(10):
    publish(f"many{number}", range(200))
publish("k", [2])
for pid in httpd.children():
    os.kill(pid, signal.SIGKILL)
cluster.start()
last = 2
end = time.monotonic() + 3
while time.monotonic() < end:
    try:
        if publish("k", [last + 1])[0] == 202:
            last += 1
    except OSError:
        pass
    time.sleep(0.02)
ok(wait_until(lambda: len(set(arrived("k"))) == last, 180),
   f"events in a killed child's spool arrive, and those after them ({last})")
is_(arrived("k"), list(range(1, last + 1)), "in order")
ok(wait_until(lambda: all(len(arrived(f"many{n}")) >= 200 for n in range(10)), 180),
   "all the others arrive too")
ok(all(arrived(f"many{n}") == list(range(200)) for n in range(10)), "they arrive in order, once")
httpd.stop()

# A full disk


def mounted(folder):
    return subprocess.run(["mount", "-t", "tmpfs", "-o", f"size=64k,mode=0700,uid={small.user.pw_uid}",
                           "tmpfs", folder],
                          capture_output=True, check=False).returncode == 0


small = Httpd(backend=backend, database=Pgsql(cluster), extra=EXTRA, start=False,
              config="RestHooksSpool run/small",
              expect=DOWN + [r"RH0330: ", r"RH06\d\d: ", r"RH05\d\d: "])
folder = small.path("run", "small")
os.mkdir(folder)
if os.geteuid() != 0 or not mounted(folder):
    skip("a full disk", "no tmpfs can be mounted here")
else:
    at_end(lambda: subprocess.run(["umount", "-l", folder], capture_output=True, check=False))
    small.start()
    small.api().subscribe(receiver.url + "/small", ["employee.created"])
    cluster.stop("immediate")
    statuses = [small.request("POST", "/employers/acme/employees",
                              {"name": f"n{number}", "text": "x" * 9000}).status
                for number in range(12)]
    is_(statuses, [201] * 12, "with the spool's disk full, captured clients are served")
    lost = [line for line in small.log().splitlines()
            if ":emerg]" in line and "employee.created" in line]
    ok(lost and "acme" in lost[0], "an emerg line names the event that is lost")
    ok(any(":emerg]" in line and "RH0330" in line for line in small.log().splitlines()),
       "a line gives the reason")
    answer = small.api(role="app").post("/events", {"type": "row.made",
                                                    "data": {"text": "x" * 60000}})
    is_(answer.status, 503, "a publisher learns that its event was not stored")
    cluster.start()
    kept = 12 - len(lost)
    ok(0 < kept < 12, f"some fit into the spool ({kept} of 12)")
    is_(len(receiver.wait_for(kept, "/small", 120)), kept, "those arrive")
    ok(receiver.quiet(2, "/small"), "once")
    small.stop()
    subprocess.run(["umount", "-l", folder], check=False)
if not cluster.running:
    cluster.start()
done_testing()
