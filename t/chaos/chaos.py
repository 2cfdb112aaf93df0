#!/usr/bin/env python3
# Licensed under the Apache License, Version 2.0: see LICENSE.
# Packages: locales pgbouncer
"""Random faults under load, and a ledger of what was acknowledged and what arrived.

    t/chaos/chaos.py [--seconds N] [--seed N] [--db pgsql|sqlite3] [--variant V]

On PostgreSQL two httpd share a database, one of them through a relay that can be interrupted; on
SQLite there is one httpd. Clients change employees through the proxy and publish, each at one host.
During that, children and whole servers are killed or restarted gracefully, and PostgreSQL crashes,
stops, or can't be reached from one host, or does not respond to it. Some targets always misbehave.

At the end every acknowledged event must have arrived at every good target or be `failed`; an event
that arrived twice must have been in flight when a process was killed; and events of a key must be
in order for ordered subscriptions.
"""

import argparse
import os
import random
import sys
import threading
from collections import Counter, defaultdict

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "lib"))
sys.path.insert(0, HERE)

parser = argparse.ArgumentParser(description="Faults at random under load.")
parser.add_argument("--seconds", type=float, default=30, help="duration of faults and load")
parser.add_argument("--seed", type=int, default=None)
parser.add_argument("--variant", default="plain", help="variant of PostgreSQL; \"list\" shows them")
parser.add_argument("--db", choices=("pgsql", "sqlite3"), default=os.environ.get("RH_DB", "pgsql"))
options = parser.parse_args()
os.environ["RH_DB"] = options.db
os.environ["RH_TEST_TIMEOUT"] = str(int(options.seconds) + 600)

from rhtest import *  # noqa: E402,F403
from load import Ledger, Load  # noqa: E402
from variants import VARIANTS, Setting  # noqa: E402

if options.variant not in VARIANTS or options.db != "pgsql" and options.variant != "plain":
    for name, what in VARIANTS.items():
        print(f"{name:22} {what}")
    sys.exit(0 if options.variant == "list" else 2)

TIMEOUT = 2  # RestHooksTimeout
LEASE = TIMEOUT + 30
LATE = 2  # slack: a POST may be in flight before this program notices it, or a kill
SPARE = 10  # minimum rest of a lease when an attempt begins
SETTLED_SOON = 4  # a stored outcome follows its attempt within this time, if the database responds
LONGEST = 8 if options.seconds <= 120 else 30  # maximum duration of a fault

seed = options.seed if options.seed is not None else random.SystemRandom().randrange(1 << 32)
print(f"# seed {seed}", flush=True)
dice = random.Random(seed)

EXTRA = f"""
    RestHooksEventType load.made "of a load"
    RestHooksTimeout {TIMEOUT}s
    RestHooksConnectTimeout 1s
"""
EXPECT = [r"RH01\d\d: ", r"RH0309: ", r"RH0705: ", r"RH0711: ", r"\[dbd:", r"AH00098",
          r"exit signal Killed", r"RH0310: "]
receiver, backend = Receiver(), Backend()
flaky_tries = Counter()
accepted = defaultdict(list)  # (path, event id) of the POSTs that were accepted
began = time.time()
kills, outages, cuts, told = [], [], [], []


def accept(received, status=200):
    if status == 200:
        accepted[(received.path, received.headers.get("webhook-id"))].append(received)
    return (status,)


def flaky(received, number):
    """Fail one attempt in four."""
    flaky_tries["all"] += 1
    return accept(received, 500 if flaky_tries["all"] % 4 == 0 else 200)


for path in ("/good", "/ordered", "/changed"):
    receiver.on(path, lambda received, number: accept(received))
receiver.on("/flaky", flaky)


def tell(text):
    told.append(text)
    print(f"# {time.time() - began:6.1f} s  {text}", flush=True)


# The hosts

relay, setting, databases = None, None, [None]
if options.db == "pgsql":
    setting = Setting(options.variant)
    cluster, relay, databases = setting.cluster, setting.relay, setting.databases
hosts = [Httpd(backend=backend, database=one, extra=EXTRA, expect=EXPECT,
               retry="1s 1s 1s 1s 1s 1s 1s 1s") for one in databases]
database = hosts[0].database
api = hosts[0].api()
subscriptions = {
    "/good": api.subscribe(receiver.url + "/good", ["load.made"]),
    "/flaky": api.subscribe(receiver.url + "/flaky", ["load.made"]),
    "/ordered": api.subscribe(receiver.url + "/ordered", ["load.made"], ordered=True),
    "/changed": api.subscribe(receiver.url + "/changed", ["employee.updated"], ordered=True)}
BAD = ("/never", "/reset", "/drip?s=1", "/flood", "/garbage")
for path in BAD:
    api.subscribe(receiver.url + path, ["load.made"])

# The faults. Each function returns once the fault is over.


def down(name, seconds, begin, end):
    begin()
    started = time.time()
    time.sleep(seconds)
    end()
    outages.append((started, time.time()))
    if begin in (relay.cut, relay.hold):
        cuts.append(outages[-1])
    tell(f"{name} for {seconds:.1f} s")


def kill_child():
    host = dice.choice(hosts)
    children = host.children()
    if children:
        child = dice.choice(children)
        try:
            os.kill(child, signal.SIGKILL)
        except ProcessLookupError:
            return
        kills.append(time.time())
        tell(f"a child of host {hosts.index(host)} is killed")


def kill_host():
    host = dice.choice(hosts)
    host.kill()
    kills.append(time.time())
    wait_until(lambda: not host.processes(), 10)
    time.sleep(dice.uniform(0, 1))
    host.start(wait=False)
    host.wait_ready()
    tell(f"host {hosts.index(host)} is killed, and started again")


def graceful():
    host = dice.choice(hosts)
    host.graceful()
    tell(f"host {hosts.index(host)} restarts gracefully")


def crash_database():
    started = time.time()
    cluster.restart("immediate")
    outages.append((started, time.time()))
    tell("the database crashes, and starts again")


def stop_database():
    down("the database is away", dice.uniform(2, LONGEST), lambda: cluster.stop("immediate"),
         cluster.start)


def cut_off():
    down("host 1 is cut off from the database", dice.uniform(2, LONGEST), relay.cut, relay.mend)


def swallow():
    down("the database doesn't answer host 1", dice.uniform(2, LONGEST), relay.hold, relay.mend)


def kill_in_outage():
    """Kill a server whose spool is not empty."""
    host = dice.choice(hosts)
    cluster.stop("immediate")
    started = time.time()
    time.sleep(dice.uniform(1, 3))
    host.kill()
    kills.append(time.time())
    wait_until(lambda: not host.processes(), 10)
    host.start(wait=False)
    time.sleep(dice.uniform(1, 3))
    cluster.start()
    outages.append((started, time.time()))
    host.wait_ready()
    tell(f"host {hosts.index(host)} is killed while the database is away")


def reconfigure():
    """During an outage of the database, add or remove a virtual host before a host's own."""
    host = dice.choice(hosts)
    cluster.stop("immediate")
    started = time.time()
    time.sleep(dice.uniform(1, 3))
    host.stop()
    if len(host.vhosts) == 1:
        host.vhosts.insert(0, Vhost(enabled=False, database=False))
    else:
        del host.vhosts[0]
    host.write_config()
    kills.append(time.time())
    host.start(wait=False)
    time.sleep(dice.uniform(1, 3))
    cluster.start()
    outages.append((started, time.time()))
    host.wait_ready()
    tell(f"host {hosts.index(host)} has {len(host.vhosts)} virtual hosts, after an outage")


def more_faults(name, fault):
    def begin():
        seconds = dice.uniform(2, LONGEST)
        started = time.time()
        fault(seconds)
        outages.append((started, time.time()))
        tell(f"{name} for {time.time() - started:.1f} s")
    return begin


faults = [kill_child, kill_host, graceful]
if options.db == "pgsql":
    faults += [crash_database, stop_database, cut_off, swallow, kill_in_outage]
    faults += [more_faults(*one) for one in setting.faults.items()]
    if options.variant == "reconfigured":
        faults += [reconfigure]

loads = []
for host in hosts:
    loads += [Load(host.url, publish=True, rate=20, workers=4), Load(host.url, rate=10, workers=2)]
for load in loads:
    load.start()
end = time.monotonic() + options.seconds
turn = []
while time.monotonic() < end:
    if not turn:
        turn = dice.sample(faults, len(faults))
    time.sleep(dice.uniform(0.5, 3))
    turn.pop()()
time.sleep(2)
for load in loads:
    load.stop()
tell("no more load, no more faults")

# The ledger

published, changed = loads[0::2], loads[1::2]
paths = {"/good": published, "/flaky": published, "/ordered": published, "/changed": changed}


def ended_otherwise(path):
    """Return (key, number) of the deliveries whose state is `failed`."""
    event, delivery = (("resthooks.event", "resthooks.delivery") if options.db == "pgsql" else
                       ("resthooks_event", "resthooks_delivery"))
    rows = database.sql(f"SELECT e.data FROM {delivery} d JOIN {event} e ON e.id = d.event_id"
                        f" WHERE d.state = 'failed' AND"
                        f" d.subscription_id = '{subscriptions[path]['id']}'")
    items = [json.loads(row[0]) for row in rows]
    return {(str(item["id"]), item["number"]) for item in items}


def all_here():
    return not any(set(Ledger(receiver, path, its).missing) - ended_otherwise(path)
                   for path, its in paths.items())


def await_drained(condition, timeout, step):
    """Wait for a condition as long as the receiver still gets requests, and `timeout` longer: the
    time that a backlog takes is not a sign of loss."""
    arrived, still_since = -1, time.monotonic()
    while not condition():
        if receiver.count() != arrived:
            arrived, still_since = receiver.count(), time.monotonic()
        elif time.monotonic() - still_since > timeout:
            return False
        time.sleep(step)
    return True


tell("all that was acknowledged is here" if await_drained(all_here, 2 * LEASE + 30, 2) else
     "NOT all that was acknowledged is here, and nothing more arrives")
tell("nothing waits" if await_drained(
    lambda: not any(api.deliveries(one["id"], "?state=pending&limit=1")
                    for one in subscriptions.values()), LEASE, 1) else
     "something still waits, and nothing more arrives")


def disconnected():
    """Yield when a host was disconnected: while it was cut off, and in outages right after that."""
    for since, until in cuts:
        for start, finish in sorted(outages):
            if since <= start <= until + SETTLED_SOON:
                until = max(until, finish)
        yield since, until


disconnections = list(disconnected())


def excused(one, other):
    """Return whether the event may arrive again: this program responded after RestHooksTimeout; a
    process was killed between the arrival and the storing of its outcome; or only one host was
    disconnected then, for the rest of its lease."""
    first, again = one.time, other.time
    # The attempt began within the second of its signature, which may be long before this program
    # had the processor to read it.
    signed = min(first, int(one.headers["webhook-timestamp"]) + 1)
    if one.answered is None or one.answered - signed > TIMEOUT - LATE / 2:
        return True
    for since, until in disconnections:
        if since - SETTLED_SOON <= first <= until and again - since >= SPARE:
            return True
    for kill in kills:
        if first <= kill + LATE and kill <= again:
            away = sum(max(0.0, min(kill, until) - max(first, since)) for since, until in outages)
            if kill - first - away <= TIMEOUT + SETTLED_SOON:
                return True
    return False


print(f"# {'path':10} {'acknowledged':>12} {'doubtful':>9} {'arrived':>8} {'failed':>7}"
      f" {'missing':>8} {'twice':>6} {'unexcused':>9} {'disorder':>8}")
for path, its in paths.items():
    ledger, failed = Ledger(receiver, path, its), ended_otherwise(path)
    missing = sorted(set(ledger.missing) - failed)
    twice = {i: list(posts) for (p, i), posts in list(accepted.items())
             if p == path and len(posts) > 1}
    unexcused = {i: [round(post.time - began, 2) for post in posts] for i, posts in twice.items()
                 if not all(excused(a, b) for a, b in zip(posts, posts[1:]))}
    doubtful = sum(len(load.doubtful) for load in its)
    print(f"# {path:10} {len(ledger.acknowledged):12} {doubtful:9} {len(ledger.got):8}"
          f" {len(failed):7} {len(missing):8} {len(twice):6} {len(unexcused):9}"
          f" {len(ledger.disorder):8}", flush=True)
    is_(missing[:20], [], f"{path}: every event that was acknowledged arrived, or is failed")
    is_(ledger.invented, [], f"{path}: nothing arrived that was not sent")
    is_(dict(list(unexcused.items())[:10]), {}, f"{path}: what arrived twice, did so for a kill")
    if subscriptions[path]["ordered"]:
        is_(ledger.disorder[:20], [], f"{path}: each key in order")
for load in loads:
    broken = {status: count for status, count in load.statuses.items()
              if status not in (200, 201, 202)}
    diag(f"{load.counts()}, {broken or 'none refused or broken off'}")

# Events to bad targets are not lost either: each event has a delivery to each of them.
prefix = "resthooks." if options.db == "pgsql" else "resthooks_"
# EXCEPT, as a join without statistics of the tables would go through all deliveries for each event.
wrong = database.sql(f"SELECT count(*) FROM (SELECT id FROM {prefix}event WHERE type = 'load.made'"
                     " EXCEPT SELECT event_id FROM"
                     f" (SELECT event_id, id FROM {prefix}delivery UNION"
                     f" SELECT event_id, delivery_id FROM {prefix}queue) AS d"
                     f" GROUP BY event_id HAVING count(*) = {3 + len(BAD)}) AS w")
is_(int(wrong[0][0]), 0, "every event has a delivery to every subscription, bad targets' too")
waiting = [path for path in paths
           if api.deliveries(subscriptions[path]["id"], "?state=pending&limit=5")]
is_(waiting, [], "nothing waits for a good target any more")
diag(f"{options.variant}: {len(kills)} kills, {len(outages)} outages, {len(told) - 3} faults; seed {seed}")
done_testing()
