# Licensed under the Apache License, Version 2.0: see LICENSE.
"""Steady load with a ledger of what was acknowledged and what arrived."""

import http.client
import json
import threading
import time
from collections import Counter, defaultdict

from client import request


class Load:
    """Workers that change one employee each through the proxy, or publish about one key each.

    urls       URLs of httpd hosts; a worker takes the next one for each call
    rate       calls per second, of all workers together
    publish    True: POST /hooks/events instead of PATCH through the proxy
    type       type of published events

    `acknowledged` are the (key, number) whose client got 200 or 202; `doubtful` are those whose
    call was interrupted or refused, so that the event may exist or not. Numbers of a key ascend in
    the order in which the events happened. A worker makes one call at a time.
    """

    def __init__(self, urls, workers=4, rate=40, publish=False, type="load.made", tenant="acme",
                 hooks="/hooks", timeout=60):
        self.urls = [urls] if isinstance(urls, str) else list(urls)
        self.publish = publish
        self.type = type
        self.tenant = tenant
        self.hooks = hooks
        self.acknowledged, self.doubtful = [], []
        self.slowest = 0.0
        self.statuses = Counter()
        self._timeout = timeout
        self._pause = workers / rate
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._work, args=(number,), daemon=True)
                         for number in range(workers)]

    def start(self):
        for thread in self._threads:
            thread.start()
        return self

    def stop(self):
        self._stop.set()
        for thread in self._threads:
            thread.join(2 * self._timeout)
        return self

    def run(self, seconds):
        """Start, wait, stop."""
        self.start()
        time.sleep(seconds)
        return self.stop()

    def counts(self):
        return (f"{len(self.acknowledged)} acknowledged, {len(self.doubtful)} doubtful, "
                f"slowest {self.slowest:.1f} s")

    def _call(self, number, turn, method, path, body, headers):
        url = self.urls[(number + turn) % len(self.urls)]
        began = time.monotonic()
        try:
            status = (answer := request(method, url + path, body, headers, self._timeout)).status
        except (OSError, http.client.HTTPException) as error:
            status, answer = type(error).__name__, None
        with self._lock:
            self.statuses[status] += 1
            self.slowest = max(self.slowest, time.monotonic() - began)
        return status, answer

    def _employee(self, number):
        turn = 0
        place = f"/employers/{self.tenant}/employees"
        while not self._stop.is_set():
            status, answer = self._call(number, turn, "POST", place, {"name": f"w{number}"}, None)
            if status == 201:
                return str(answer.json["id"])
            turn += 1
            self._stop.wait(0.2)
        return None

    def _work(self, number):
        key = f"{id(self):x}-{number}" if self.publish else self._employee(number)
        sequence = 0
        due = time.monotonic()
        while key is not None and not self._stop.is_set():
            sequence += 1
            if self.publish:
                status, _ = self._call(number, sequence, "POST", self.hooks + "/events",
                                       {"type": self.type, "tenant": self.tenant, "key": key,
                                        "data": {"id": key, "number": sequence}},
                                       {"X-Tenant": self.tenant, "X-Role": "app"})
            else:
                status, _ = self._call(number, sequence, "PATCH",
                                       f"/employers/{self.tenant}/employees/{key}",
                                       {"number": sequence}, None)
            with self._lock:
                (self.acknowledged if status in (200, 202) else
                 self.doubtful).append((key, sequence))
            due = max(due + self._pause, time.monotonic() - 1)
            self._stop.wait(max(0.0, due - time.monotonic()))


class Ledger:
    """Everything of a load that arrived at a receiver's path."""

    def __init__(self, receiver, path, loads):
        self.posts = []
        for received in receiver.received(path):
            item = json.loads(received.body)[0]
            if "number" in item:
                self.posts.append((str(item["id"]), item["number"], received))
        self.got = Counter((key, number) for key, number, _ in self.posts)
        self.acknowledged = {pair for load in loads for pair in load.acknowledged}
        self.sent = self.acknowledged | {pair for load in loads for pair in load.doubtful}

    @property
    def missing(self):
        """Return what was acknowledged but never arrived."""
        return sorted(self.acknowledged - set(self.got))

    @property
    def invented(self):
        """Return what arrived but was never sent."""
        return sorted(set(self.got) - self.sent)

    @property
    def twice(self):
        """Return what arrived more than once."""
        return sorted(pair for pair, count in self.got.items() if count > 1)

    @property
    def events_twice(self):
        """Return the number of POSTs that repeat an event's id."""
        ids = Counter(r.headers.get("webhook-id") for _, _, r in self.posts)
        return sum(ids.values()) - len(ids)

    @property
    def disorder(self):
        """Return the numbers that first arrived after a larger one with the same key."""
        largest, seen, found = defaultdict(int), set(), []
        for key, number, _ in self.posts:
            if (key, number) in seen:
                continue
            seen.add((key, number))
            if number < largest[key]:
                found.append((key, number, largest[key]))
            largest[key] = max(largest[key], number)
        return found


def settle(receiver, path, loads, timeout=180):
    """Wait until everything acknowledged has arrived; return the ledger."""
    end = time.monotonic() + timeout
    while True:
        ledger = Ledger(receiver, path, loads)
        if not ledger.missing or time.monotonic() > end:
            return ledger
        time.sleep(0.2)
