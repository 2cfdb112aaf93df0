#!/usr/bin/env python3
# Licensed under the Apache License, Version 2.0: see LICENSE.
"""ordered: events of one key arrive one at a time, in the order in which they happened."""

import os
import sys
import threading
from collections import Counter, defaultdict

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
from rhtest import *  # noqa: E402,F403
from load import Load, settle  # noqa: E402

EXTRA = """
    RestHooksEventType row.made "of some key"
    RestHooksEventType load.made "of a load"
    RestHooksTimeout 5s
"""
receiver, backend = Receiver(), Backend()
httpd = Httpd(backend=backend, extra=EXTRA, retry="2s 2s 2s 2s")
hosts = [httpd]
if DB == "pgsql":
    # Another host on the same database
    shared = Pgsql()
    shared.params = httpd.database.params
    shared.name = httpd.database.name
    shared.remove = lambda: None
    hosts.append(Httpd(backend=backend, extra=EXTRA, retry="2s 2s 2s 2s", database=shared))
api, app = httpd.api(), httpd.api(role="app")


class Target:
    """A path that records what arrives of each key, when each request began and ended, and that may
    fail."""

    def __init__(self, path, fails=lambda key, number, times: False):
        self.path = path
        self.tries = defaultdict(list)  # by key: numbers in the order of arrival
        self.accepted = defaultdict(list)
        self._times = Counter()
        self._fails = fails
        receiver.on(path, self._answer)

    def _answer(self, received, _):
        item = json.loads(received.body)[0]
        key, number = str(item["id"]), item["number"]
        self._times[(key, number)] += 1
        self.tries[key].append(number)
        if self._fails(key, number, self._times[(key, number)]):
            return (500,)
        self.accepted[key].append(number)
        return (200,)

    def count(self):
        return sum(len(numbers) for numbers in self.accepted.values())


def publish(client, key, numbers):
    answer = client.post("/events", [{"type": "row.made", "key": key,
                                      "data": {"id": key, "number": n}} for n in numbers])
    if answer.status != 202:
        raise RuntimeError(f"not published: {answer}")
    return answer.json["ids"]


# Retries: the target fails at first, and later events wait.

flaky = Target("/flaky", lambda key, number, times: number % 4 == 0 and times <= 2)
flaky_one = api.subscribe(receiver.url + "/flaky", ["row.made"], ordered=True)
ids = publish(app, "a", range(1, 7)) + publish(app, "a", range(7, 9))
publish(app, "b", range(1, 4))
publish(app, "c", [1, 2, 3, 5, 6, 7])
ok(wait_until(lambda: flaky.count() == 17, 180), "all events arrive at an ordered subscription")
is_(flaky.accepted["a"], [1, 2, 3, 4, 5, 6, 7, 8], "those of a key arrive in order")
is_(flaky.tries["a"], [1, 2, 3, 4, 4, 4, 5, 6, 7, 8, 8, 8],
    "a failed event holds up the later ones")
is_((flaky.accepted["b"], flaky.accepted["c"]), ([1, 2, 3], [1, 2, 3, 5, 6, 7]),
    "each key is ordered by itself")
times = {}
for received in receiver.received("/flaky"):
    item = json.loads(received.body)[0]
    times.setdefault((item["id"], item["number"]), received.time)
ok(times[("c", 7)] < times[("a", 8)], "a key that waits for a retry does not hold up another")

# A delivery whose schedule is used up lets the others continue; redelivered, it comes between two.

broken = {"is": True}
picky = Target("/picky", lambda key, number, times: number == 2 and broken["is"])
api.delete("/subscriptions/" + flaky_one["id"])
picky_one = api.subscribe(receiver.url + "/picky", ["row.made"], ordered=True)
ids = publish(app, "p", [1, 2, 3])
ok(wait_until(lambda: picky.accepted["p"] == [1, 3], 180),
   "once one has failed for good, the next is attempted")
is_(picky.tries["p"], [1] + [2] * 5 + [3], "not before")
row = [row for row in api.deliveries(picky_one["id"]) if row["event_id"] == ids[1]][0]
ok(wait_until(lambda: api.get("/deliveries/" + row["id"]).json["state"] == "failed"), "it failed")
broken["is"] = False
is_(api.post(f"/deliveries/{row['id']}/redeliver").status, 202, "it is redelivered")
publish(app, "p", [4, 5])
ok(wait_until(lambda: len(picky.accepted["p"]) == 5, 180), "it arrives together with later ones")
is_([n for n in picky.accepted["p"] if n != 2], [1, 3, 4, 5], "those are still in order")
ok(wait_until(lambda: api.deliveries(picky_one["id"], "?state=pending") == []),
   "nothing is left waiting")

# Several keys in parallel, one delivery at a time of each

crowd = Receiver()
active, most, overlaps = Counter(), Counter(), []
guard = threading.Lock()
original = crowd._answer


async def watched(received, number, writer):
    key = json.loads(received.body)[0]["id"]
    active[key] += 1
    most["keys"] = max(most["keys"], sum(1 for n in active.values() if n))
    if active[key] > 1:
        overlaps.append(key)
    try:
        return await original(received, number, writer)
    finally:
        active[key] -= 1


crowd._answer = watched
api.delete("/subscriptions/" + picky_one["id"])
parallel = api.subscribe(crowd.url + "/slow?s=0.5", ["row.made"], ordered=True)
for number in range(1, 7):
    for index, host in enumerate(hosts):
        host.api(role="app").post("/events", [
            {"type": "row.made", "key": f"k{key}", "data": {"id": f"k{key}", "number": number}}
            for key in range(8) if key % len(hosts) == index])
got = crowd.wait_for(48, "/slow", 180)
is_(len(got), 48, "events of several keys arrive")
is_(overlaps, [], "there are never two of a key at a time")
ok(most["keys"] >= 2, f"different keys are delivered in parallel ({most['keys']})")
order = defaultdict(list)
for received in got:
    item = json.loads(received.body)[0]
    order[item["id"]].append(item["number"])
is_(dict(order), {f"k{key}": [1, 2, 3, 4, 5, 6] for key in range(8)}, "each key is in order")
api.delete("/subscriptions/" + parallel["id"])

# The next event of a key comes while settling the one before has begun and must wait.

if DB == "pgsql":
    held = Target("/held")
    held_one = api.subscribe(receiver.url + "/held", ["row.made"], ordered=True)
    publish(app, "first", [1])
    ok(wait_until(lambda: api.deliveries(held_one["id"], "?state=delivered")),
       "the first one was delivered")
    holder = threading.Thread(target=httpd.database.sql, args=(
        "BEGIN; SELECT 1 FROM resthooks.subscription_stat WHERE subscription_id = "
        f"'{held_one['id']}' FOR UPDATE; SELECT pg_sleep(4); COMMIT",))
    holder.start()
    time.sleep(0.5)
    publish(app, "h", [1])
    ok(wait_until(lambda: held.accepted["h"] == [1]), "an event of a key arrives")
    publish(hosts[1].api(role="app"), "h", [2, 3])
    holder.join()
    ok(wait_until(lambda: held.accepted["h"] == [1, 2, 3], 120),
       "events that came while it was being settled follow")
    api.delete("/subscriptions/" + held_one["id"])

# Under load from all hosts: a key's events come through either host in turn.

shaky = Target("/shaky", lambda key, number, times: number % 10 == 0 and times == 1)
loaded = api.subscribe(receiver.url + "/shaky", ["load.made"], ordered=True)
changed = api.subscribe(receiver.url + "/changed", ["employee.updated"], ordered=True)
loads = [Load([host.url for host in hosts], publish=True, rate=30, workers=4),
         Load(httpd.url, rate=30, workers=4)]
for load in loads:
    load.start()
time.sleep(6)
for load in loads:
    load.stop()
for path, load in (("/shaky", loads[0]), ("/changed", loads[1])):
    ledger = settle(receiver, path, [load])
    diag(f"{path}: {load.counts()}, {len(ledger.posts)} arrived")
    is_((ledger.missing, ledger.invented, load.doubtful), ([], [], []), f"{path}: all arrives")
    is_(ledger.disorder, [], f"{path}: in order")
ok(wait_until(lambda: shaky.count() == len(loads[0].acknowledged), 180),
   "those that failed once arrive too")
is_({key: numbers for key, numbers in shaky.accepted.items() if numbers != sorted(numbers)}, {},
    "no event overtook one that had to be retried")
is_([row for one in (loaded, changed) for row in api.deliveries(one["id"], "?state=failed")], [],
    "none failed")
done_testing()
