#!/usr/bin/env python3
# Licensed under the Apache License, Version 2.0: see LICENSE.
"""Several httpd hosts on one PostgreSQL: they start, stop and crash, and nothing is lost."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
from rhtest import *  # noqa: E402,F403
from load import Ledger, Load, settle  # noqa: E402

if DB != "pgsql":
    skip_all("SQLite is for one host")

EXTRA = """
    RestHooksEventType load.made "of a load"
    RestHooksEventType slow.news "for a slow target"
    RestHooksTimeout 10s
"""
receiver, backend = Receiver(), Backend()
database = Pgsql()
at_end(database.remove)


def make():
    """Another host on the same database, which the test ends."""
    shared = Pgsql.__new__(Pgsql)
    shared.__dict__.update(database.__dict__)
    shared.remove = lambda: None
    return Httpd(backend=backend, extra=EXTRA, retry="1s 1s 1s", database=shared)


hosts = [make() for _ in range(3)]
api = hosts[0].api()
every = api.subscribe(receiver.url + "/every", ["load.made"])
flaky_times = {}


def flaky(received, number):
    """Fails every tenth event's first attempt: any host may retry it."""
    key = received.headers.get("webhook-id")
    flaky_times[key] = flaky_times.get(key, 0) + 1
    return (500,) if int(key[-2:], 16) % 10 == 0 and flaky_times[key] == 1 else (200,)


receiver.on("/flaky", flaky)
api.subscribe(receiver.url + "/flaky", ["load.made"])
api.subscribe(receiver.url + "/ordered", ["load.made"], ordered=True)
api.subscribe(receiver.url + "/changed", ["employee.updated"])
is_(api.get("/subscriptions").json, hosts[2].api().get("/subscriptions").json,
    "all hosts show the same subscriptions")

# Hosts start and stop gracefully while the others work. Clients only know one that stays.

loads = [Load(hosts[0].url, publish=True, rate=40, workers=6),
         Load(hosts[0].url, rate=20, workers=3)]
leaving = [Load(hosts[1].url, publish=True, rate=20), Load(hosts[2].url, publish=True, rate=20)]
for load in loads + leaving:
    load.start()
time.sleep(1.5)
for host, load in zip(hosts[1:], leaving):
    load.stop()
    ok(host.stop(signal.SIGWINCH), "a host is stopped")
    time.sleep(0.5)
hosts.append(make())
more = Load([hosts[0].url, hosts[3].url], publish=True, rate=20, workers=4).start()
hosts[1].start()
time.sleep(1)
hosts[3].graceful()
time.sleep(1.5)
for load in loads + [more]:
    load.stop()
published = [loads[0], more] + leaving
for path, its in (("/every", published), ("/ordered", published), ("/changed", [loads[1]])):
    ledger = settle(receiver, path, its)
    diag(f"{path}: {len(ledger.acknowledged)} acknowledged, {len(ledger.posts)} arrived")
    is_((ledger.missing, ledger.invented), ([], []), f"{path}: all arrives")
    is_(ledger.twice, [], f"{path}: once")
is_(Ledger(receiver, "/ordered", published).disorder, [], "/ordered: each key arrives in order")
ledger = settle(receiver, "/flaky", published)
is_(ledger.missing, [], "/flaky: everything arrives")
ok(wait_until(lambda: all(n == 2 for key, n in flaky_times.items()
                          if int(key[-2:], 16) % 10 == 0), 120), "/flaky: what failed is retried")
is_({n for key, n in flaky_times.items() if int(key[-2:], 16) % 10}, {1},
    "/flaky: what succeeded is not retried")
is_([load.doubtful for load in published + loads], [[]] * 6, "no call was interrupted")

# Other hosts share the deliveries of one host's events.

hosts[1].api("globex").subscribe(receiver.url + "/slow/work?s=0.5", ["slow.news"])
hosts[1].api("globex", role="app").post(
    "/events", [{"type": "slow.news", "tenant": "globex", "data": {"n": n}} for n in range(200)])
began = time.monotonic()
got = receiver.wait_for(200, "/slow/work", 180)
took = time.monotonic() - began
is_(len(got), 200, f"a backlog of one target is sent ({took:.1f} s)")
is_(len({r.headers.get("webhook-id") for r in got}), 200, "each once")
diag(f"200 of half a second each, 16 at a time per host: {took:.1f} s")

# A host crashes during deliveries: the others take these over when its leases expire.

hosts[1].api("initech").subscribe(receiver.url + "/slow/fall?s=1.5", ["slow.news"])
dying = Load(hosts[1].url, publish=True, rate=20).start()
staying = Load(hosts[0].url, publish=True, rate=10).start()
hosts[1].api("initech", role="app").post(
    "/events", [{"type": "slow.news", "tenant": "initech", "data": {"n": n}} for n in range(40)])
receiver.wait_for(16, "/slow/fall")
hosts[1].kill()
dying.stop()
staying.stop()
ledger = settle(receiver, "/every", published + [dying, staying])
is_(ledger.missing, [], "a host is killed: the events that it had acknowledged arrive")
ok(wait_until(lambda: len({r.headers.get("webhook-id")
                           for r in receiver.received("/slow/fall")}) == 40, 180),
   "its deliveries in flight are sent by another")
twice = len(receiver.received("/slow/fall")) - 40
ok(twice <= 16, f"only its deliveries in flight come twice ({twice})")
ok(wait_until(lambda: not [row for tenant in ("acme", "globex", "initech")
                           for row in hosts[0].api(tenant).get("/deliveries?state=pending").json],
              180, 0.5), "nothing is left pending")
diag(f"{dying.counts()}; {staying.counts()}")
done_testing()
