#!/usr/bin/env python3
# Licensed under the Apache License, Version 2.0: see LICENSE.
"""The life of processes: restarts, stops, recycled children, kills."""

import os
import sys
from collections import Counter

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
from rhtest import *  # noqa: E402,F403
from load import Load, settle  # noqa: E402

CONFIG = """
    RestHooksEventType slow.news "for a slow target"
    RestHooksEventType more.news "for another"
    RestHooksEventType load.made "of a load"
    RestHooksTimeout 10s
"""
receiver, backend = Receiver(), Backend()


def make(config="", expect=(), extra=CONFIG, retry="1s 1s"):
    return Httpd(config, backend=backend, extra=extra, retry=retry, expect=expect)


def publish(httpd, kind, count):
    """Publish a number of events in one call; return their ids."""
    answer = httpd.api(role="app").post(
        "/events", [{"type": kind, "data": {"number": n}} for n in range(count)])
    if answer.status != 202:
        raise RuntimeError(f"not published: {answer}")
    return answer.json["ids"]


def times(path):
    """Return how often each event arrived at a path."""
    return Counter(r.headers.get("webhook-id") for r in receiver.received(path))


def states(httpd, subscription):
    return Counter(row["state"] for row in httpd.api().deliveries(subscription["id"],
                                                                  "?limit=500"))


def becomes(httpd, subscription, expected, timeout=150):
    return wait_until(lambda: states(httpd, subscription) == expected, timeout, 0.2)


def killed(httpd, pids):
    for pid in pids:
        os.kill(pid, signal.SIGKILL)


# Begun first and checked last: leases outlive the killed processes by half a minute.

orphan = make(expect=[r"exit signal Killed"])
slow_orphan = orphan.api().subscribe(receiver.url + "/slow/child?s=2", ["slow.news"])
every_orphan = orphan.api().subscribe(receiver.url + "/orphan", ["load.made"])
orphan_ids = publish(orphan, "slow.news", 30)
receiver.wait_for(16, "/slow/child")
orphan_load = Load(orphan.url, publish=True, workers=3, rate=15).start()
time.sleep(1)
killed(orphan, orphan.children())
time.sleep(1)
orphan_load.stop()

# SQLite may still be locked by killed processes when the next httpd starts.
family = make(expect=[r"AH00098: pid file", r"RH0115: .*locked", r"RH0705: "])
slow_family = family.api().subscribe(receiver.url + "/slow/family?s=2", ["slow.news"])
every_family = family.api().subscribe(receiver.url + "/family", ["load.made"])
family_ids = publish(family, "slow.news", 30)
receiver.wait_for(16, "/slow/family")
family_load = Load(family.url, publish=True, workers=3, rate=15).start()
time.sleep(1)
family.kill()
family_load.stop()
kill_time = time.monotonic()
ok(wait_until(lambda: not family.processes()), "a whole httpd is killed")
family.start()

# Graceful restart

httpd = make()
api = httpd.api()
slow = api.subscribe(receiver.url + "/slow/restart?s=2", ["slow.news"])
never = api.subscribe(receiver.url + "/never", ["more.news"])
every = api.subscribe(receiver.url + "/every", ["load.made"])
updated = api.subscribe(receiver.url + "/updated", ["employee.updated"])
ids = publish(httpd, "slow.news", 24)
publish(httpd, "more.news", 1)
receiver.wait_for(16, "/slow/restart")
receiver.wait_for(1, "/never")
old = set(httpd.children())
ok(httpd.graceful(), "httpd restarts gracefully while attempts are in flight")
ok(becomes(httpd, slow, {"delivered": 24}), "all deliveries to a slow target are made")
is_(times("/slow/restart"), Counter({i: 1 for i in ids}), "each of them is made once")
is_({row["attempt_count"] for row in api.deliveries(slow["id"])}, {1}, "each takes one attempt")
ok(wait_until(lambda: not old & set(httpd.children()), 120), "the old process ends")
ok(becomes(httpd, never, {"failed": 1}), "an attempt in flight over the restart ends too")
is_(len(receiver.received("/never")),
    api.deliveries(never["id"])[0]["attempt_count"], "every POST of it is an attempt in the log")

loads = [Load(httpd.url, rate=40), Load(httpd.url, publish=True, rate=20)]
for load in loads:
    load.start()
for _ in range(3):
    time.sleep(1.5)
    httpd.graceful()
for load in loads:
    load.stop()
for path, load in (("/updated", loads[0]), ("/every", loads[1])):
    ledger = settle(receiver, path, [load])
    diag(f"restarts, {path}: {load.counts()}, {len(ledger.posts)} arrived")
    ok(len(load.acknowledged) > 50, f"{path}: under load, three graceful restarts")
    is_(ledger.missing, [], f"{path}: lose nothing")
    is_((ledger.twice, ledger.invented), ([], []), f"{path}: send nothing twice")
    is_(load.doubtful, [], f"{path}: break off no call")
ok(receiver.quiet(1, "/every"), "no further ones follow")

# Graceful stop

earlier = times("/slow/restart")
ids = publish(httpd, "slow.news", 24)
receiver.wait_for(24 + 16, "/slow/restart")
began = time.monotonic()
ok(httpd.stop(signal.SIGWINCH), "httpd stops gracefully while attempts are in flight")
took = time.monotonic() - began
ok(took < 40, f"it stops in bounded time ({took:.1f} s)")
before = times("/slow/restart") - earlier
httpd.start()
ok(becomes(httpd, slow, {"delivered": 48}, 35),
   "what waited is sent after the next start, without waiting for a lease")
is_(times("/slow/restart") - earlier, Counter({i: 1 for i in ids}), "none of it is sent twice")
ok(len(before) >= 16, "attempts in flight were finished before the end")

# Immediate stop: attempts in flight get two seconds; those that are not finished are released.

prompt = api.subscribe(receiver.url + "/prompt", ["more.news"])
held = api.subscribe(receiver.url + "/slow/stop?s=2.9", ["more.news"])
api.delete("/subscriptions/" + never["id"])
ids = publish(httpd, "more.news", 24)
receiver.wait_for(16, "/slow/stop")
began = time.monotonic()
ok(httpd.stop(), "httpd stops at once while attempts are in flight")
diag(f"it stops in {time.monotonic() - began:.1f} s")
is_([line for line in httpd.log().splitlines() if "SIGKILL" in line], [],
    "httpd stops before it would be killed")
httpd.start()
ok(becomes(httpd, held, {"delivered": 24}, 35),
   "interrupted attempts are made again soon after the next start: their leases were released")
after = times("/slow/stop")
is_(set(after), set(ids), "all events arrive")
ok(all(count <= 2 for count in after.values()), "each arrives at most twice")
is_(states(httpd, prompt), {"delivered": 24}, "another target's events arrive too")

# Recycled children

recycled = make("MaxConnectionsPerChild 30")
recycled.api().subscribe(receiver.url + "/recycled", ["employee.updated"])
recycled.api().subscribe(receiver.url + "/slow/recycled?s=0.5", ["employee.updated"])
pids = set()
load = Load(recycled.url, rate=40).start()
for _ in range(30):
    time.sleep(0.2)
    pids.update(recycled.children())
load.stop()
ok(len(pids) > 2, f"children are recycled under load ({len(pids)} seen)")
for path in ("/recycled", "/slow/recycled"):
    ledger = settle(receiver, path, [load])
    diag(f"recycling, {path}: {load.counts()}, {len(ledger.posts)} arrived")
    is_((ledger.missing, ledger.twice, ledger.invented), ([], [], []),
        f"{path}: recycled children lose nothing and send nothing twice")
is_(load.doubtful, [], "no call is interrupted")

# The end of the part that began first

for name, host, slow_one, ids, load, bound in (
        ("child", orphan, slow_orphan, orphan_ids, orphan_load, 16),
        ("family", family, slow_family, family_ids, family_load, 16)):
    ok(becomes(host, slow_one, {"delivered": 30}),
       f"kill -9, {name}: all of a slow target's deliveries are made")
    count = times("/slow/" + name)
    is_(set(ids) - set(count), set(), f"kill -9, {name}: all arrived")
    ok(sum(count.values()) - 30 <= bound, f"kill -9, {name}: only those in flight came twice")
    ledger = settle(receiver, "/orphan" if name == "child" else "/family", [load])
    diag(f"kill -9, {name}: {load.counts()}, {len(ledger.posts)} arrived")
    is_((ledger.missing, ledger.invented), ([], []), f"kill -9, {name}: nothing is lost")
took = time.monotonic() - kill_time
diag(f"after {took:.0f} s")
done_testing()
