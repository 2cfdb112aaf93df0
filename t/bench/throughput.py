# Licensed under the Apache License, Version 2.0: see LICENSE.
"""Events in, events all the way, and requests that are no events, a second."""

import json
import threading
import time

from tools import Pgbench, wrk

EVENT = {"type": "employee.created",
         "data": {"id": 4711, "name": "Ada Lovelace", "role": "engineer",
                  "email": "ada@example.com", "office": "St James's Square"}}
PUBLISHER = {"X-Tenant": "acme", "X-Role": "app"}
BATCH = 100
EMPLOYEE = '{"name":"Ada Lovelace","role":"engineer","email":"ada@example.com"}'


def events_stored(database):
    """Events and deliveries that the database has, once nothing is on its way any more."""
    prefix = "resthooks." if database.driver == "pgsql" else "resthooks_"
    counts = None
    while True:
        before, counts = counts, [int(count) for count in database.sql(
            f"SELECT (SELECT count(*) FROM {prefix}event), "
            f"(SELECT count(*) FROM {prefix}delivery)")[0]]
        if counts == before:
            return counts
        time.sleep(0.3)


def publish_server(bench, kind, mpm="worker"):
    server = bench.server(bench.database(kind), mpm=mpm, extra="Redirect 204 /nothing")
    server.api("acme").subscribe(bench.sink.url + "/in", ["employee.created"], rate_limit=1)
    return server


def publish(bench, server, size, seconds):
    """Events a second; every one that was acknowledged must be there, with one delivery."""
    body = json.dumps(EVENT if size == 1 else [EVENT] * size)
    before = events_stored(server.database)
    result = wrk(bench, server.url + "/hooks/events", seconds, body, PUBLISHER)
    after = events_stored(server.database)
    events, deliveries = (now - then for then, now in zip(before, after))
    # wrk doesn't count the answers that are on their way when it ends.
    if not result["requests"] * size <= events <= (result["requests"] + 64) * size:
        raise RuntimeError(f"{result['requests'] * size} acknowledged, {events} stored")
    if events != deliveries:
        raise RuntimeError(f"{events} events, {deliveries} deliveries")
    return result["rate"] * size


def intake(bench, report):
    """Published events, alone and in batches, with the yardsticks before each."""
    seconds = bench.seconds(10, 4)
    yardstick = Pgbench(bench)
    yardstick.run(2)
    servers = {mpm: publish_server(bench, "pgsql", mpm) for mpm in ("worker", "event")}
    server, other = servers["worker"], servers["event"]
    for one in servers.values():
        publish(bench, one, 1, 2)

    def alone(one):
        return wrk(bench, one.url + "/nothing", seconds // 2, json.dumps(EVENT), PUBLISHER)["rate"]

    for _ in range(bench.rounds(5)):
        load = bench.load(*servers.values())
        report.add("sink", wrk(bench, bench.sink.url + "/in", seconds // 2, EMPLOYEE)["rate"])
        report.add("httpd", alone(server))
        report.add("httpd_event", alone(other))
        report.add("single_event", publish(bench, other, 1, seconds))
        report.add("pgbench", yardstick.run(seconds))
        report.add("single", publish(bench, server, 1, seconds))
        report.add("batch", publish(bench, server, BATCH, seconds))
        report.load("intake", load)
    for one in servers.values():
        one.close()


# ---- all the way ----

def way_server(bench, kind):
    server = bench.server(bench.database(kind), backend=bench.sink)
    server.api("acme").subscribe(bench.sink.url + "/in", ["employee.created"])
    return server


def settled(database):
    prefix = "resthooks." if database.driver == "pgsql" else "resthooks_"
    return int(database.sql(f"SELECT delivered FROM {prefix}subscription_stat")[0][0])


def waiting(database):
    prefix = "resthooks." if database.driver == "pgsql" else "resthooks_"
    return int(database.sql(f"SELECT count(*) FROM {prefix}queue")[0][0])


def way(bench, server, delay, seconds):
    """Drive events all the way for so long. @return settled a second, growth of the queue a
    second, both over the time after the first second."""
    failed = []

    def drive():
        try:
            wrk(bench, server.url + "/employers/acme/employees", seconds + 2, EMPLOYEE, {},
                delay=delay)
        except RuntimeError as error:
            failed.append(error)

    driver = threading.Thread(target=drive)
    driver.start()
    time.sleep(1)
    start, done, queue = time.monotonic(), settled(server.database), waiting(server.database)
    time.sleep(seconds)
    elapsed = time.monotonic() - start
    done, queue = settled(server.database) - done, waiting(server.database) - queue
    driver.join()
    if failed:
        raise failed[0]
    return done / elapsed, queue / elapsed


def drain(server, most=120):
    end = time.monotonic() + most
    while waiting(server.database) > 0:
        if time.monotonic() > end:
            raise RuntimeError("the queue does not get empty")
        time.sleep(0.2)


def is_steady(rate, growth):
    return growth <= rate * 0.01 + 5


def longer(delay, rate, growth):
    """The pause, in milliseconds, at which what is offered would be what is settled now."""
    cycle = 64e3 / (rate + growth)
    return max(delay + 2, int(delay + (64e3 / (rate * 1.02) - cycle) * 0.9))


def all_the_way(bench, report, kind="pgsql", name="way"):
    """The highest rate of events that are captured and settled while the queue doesn't grow: the
    pause of wrk's connections between two requests is widened until that is so."""
    server = way_server(bench, kind)
    short = bench.seconds(8, 5)
    way(bench, server, 0, 2)
    drain(server)
    delay = 0
    while True:
        rate, growth = way(bench, server, delay, short)
        drain(server)
        report.note(f"{name}: pause {delay} ms: {rate:.0f}/s settled, queue {growth:+.0f}/s")
        if is_steady(rate, growth) or delay > 1000:
            break
        delay = longer(delay, rate, growth)
    for _ in range(bench.rounds()):
        load = bench.load(server)
        for _ in range(4):
            rate, growth = way(bench, server, delay, bench.seconds(60, 6))
            drain(server)
            if is_steady(rate, growth):
                break
            report.note(f"{name}: pause {delay} ms: {rate:.0f}/s settled, queue {growth:+.0f}/s:"
                        " not steady")
            delay = longer(delay, rate, growth)
        else:
            raise RuntimeError("no steady rate was found")
        report.add(name, rate)
        report.load(name, load)
    server.close()


# ---- what is no event ----

def proxied(bench, report):
    """The same requests through a server without the module and one whose rules don't match, in
    turns."""
    seconds = 2
    plain = bench.server(module=False, backend=bench.sink)
    watched = bench.server(bench.database("pgsql"), backend=bench.sink)
    load = bench.load(plain, watched)
    for number in range(4 if bench.quick else 41):
        rates = {}
        for server in ((plain, watched) if number % 2 else (watched, plain)):
            rates[server] = wrk(bench, server.url + "/employers/acme/notes", seconds,
                                EMPLOYEE)["rate"]
        report.add("plain", rates[plain])
        report.add("watched", rates[watched])
        report.add("proxied", rates[watched] / rates[plain])
    report.load("proxied", load)
    if events_stored(watched.database) != [0, 0]:
        raise RuntimeError("a rule matched")
    plain.close()
    watched.close()


def on_sqlite(bench, report):
    """The first three on SQLite."""
    seconds = bench.seconds(8, 4)
    server = publish_server(bench, "sqlite3")
    publish(bench, server, 1, 2)
    for _ in range(bench.rounds()):
        load = bench.load(server)
        report.add("sqlite_single", publish(bench, server, 1, seconds))
        report.add("sqlite_batch", publish(bench, server, BATCH, seconds))
        report.load("sqlite", load)
    server.close()
    all_the_way(bench, report, "sqlite3", "sqlite_way")

