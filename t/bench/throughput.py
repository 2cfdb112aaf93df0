# Licensed under the Apache License, Version 2.0: see LICENSE.
"""Events per second: stored, and delivered as well; and requests per second that make no events."""

import json
import threading
import time

from cost import Meter
from tools import Pgbench, wrk

EVENT = {"type": "employee.created",
         "data": {"id": 4711, "name": "Ada Lovelace", "role": "engineer",
                  "email": "ada@example.com", "office": "St James's Square"}}
PUBLISHER = {"X-Tenant": "acme", "X-Role": "app"}
BATCH = 100
EMPLOYEES = "/employers/acme/employees"
EMPLOYEE = '{"name":"Ada Lovelace","role":"engineer","email":"ada@example.com"}'


def events_stored(database):
    """Return how many events and deliveries the database has, once nothing is in progress any
    more. None is sent again, so a delivery is in the queue or in the log."""
    prefix = "resthooks." if database.driver == "pgsql" else "resthooks_"
    counts = None
    while True:
        before, counts = counts, [int(count) for count in database.sql(
            f"SELECT (SELECT count(*) FROM {prefix}event), "
            f"(SELECT count(*) FROM {prefix}queue) + (SELECT count(*) FROM {prefix}delivery)")[0]]
        if counts == before:
            return counts
        time.sleep(0.3)


def database_and_mpm(column):
    """Return the database and MPM with which a column of the report is measured."""
    return ("sqlite3", "event") if column == "sqlite" else ("pgsql", column)


def publish_server(bench, column):
    kind, mpm = database_and_mpm(column)
    server = bench.server(bench.database(kind), mpm=mpm, extra="Redirect 204 /nothing")
    server.api("acme").subscribe(bench.sink.url + "/in", ["employee.created"], rate_limit=1)
    return server


def drive(bench, server, path, seconds, body, headers, size=1):
    """Return events per second and their number; every acknowledged event must be in the database
    with one delivery."""
    before = events_stored(server.database)
    result = wrk(bench, server.url + path, seconds, body, headers)
    after = events_stored(server.database)
    events, deliveries = (now - then for then, now in zip(before, after))
    # wrk does not count the responses that are in flight when it ends.
    if not result["requests"] * size <= events <= (result["requests"] + 64) * size:
        raise RuntimeError(f"{result['requests'] * size} acknowledged, {events} stored")
    if events != deliveries:
        raise RuntimeError(f"{events} events, {deliveries} deliveries")
    return result["rate"] * size, events


def publish(bench, server, size, seconds):
    body = json.dumps(EVENT if size == 1 else [EVENT] * size)
    return drive(bench, server, "/hooks/events", seconds, body, PUBLISHER, size)


def publish_measured(bench, report, server, column, seconds):
    """Measure a round of single events and one of batches, and their cost."""
    for name, size in (("single", 1), ("batch", BATCH)):
        meter = Meter(bench, server)
        rate, events = publish(bench, server, size, seconds)
        report.cost(name, column, meter.end(events))
        report.add(f"{name}_{column}", rate)


def intake(bench, report):
    """Measure published events, alone and in batches, with the yardsticks in each round."""
    seconds = bench.seconds(10, 4)
    yardstick = Pgbench(bench)
    yardstick.run(2)
    servers = {column: publish_server(bench, column) for column in ("event", "worker")}
    for server in servers.values():
        publish(bench, server, 1, 2)
    for _ in range(bench.rounds(5)):
        load = bench.load(*servers.values())
        report.add("sink", wrk(bench, bench.sink.url + "/in", seconds // 2, EMPLOYEE)["rate"])
        report.add("pgbench", yardstick.run(seconds))
        for column, server in servers.items():
            report.add(f"httpd_{column}", wrk(bench, server.url + "/nothing", seconds // 2,
                                              json.dumps(EVENT), PUBLISHER)["rate"])
            publish_measured(bench, report, server, column, seconds)
        report.load("intake", load)
    for server in servers.values():
        server.close()


def captured(bench, report, columns=("event", "worker")):
    """Measure events of proxied requests. The subscription's rate limit holds their deliveries
    back."""
    seconds = bench.seconds(10, 4)
    for column in columns:
        server = way_server(bench, column, rate_limit=1)
        drive(bench, server, EMPLOYEES, 2, EMPLOYEE, {})
        for _ in range(bench.rounds()):
            load = bench.load(server)
            meter = Meter(bench, server)
            rate, events = drive(bench, server, EMPLOYEES, seconds, EMPLOYEE, {})
            report.cost("captured", column, meter.end(events))
            report.add(f"captured_{column}", rate)
            report.load("captured", load)
        server.close()


# ---- from the request to the target ----

def way_server(bench, column, **subscription):
    kind, mpm = database_and_mpm(column)
    server = bench.server(bench.database(kind), mpm=mpm, backend=bench.sink)
    server.api("acme").subscribe(bench.sink.url + "/in", ["employee.created"], **subscription)
    return server


def settled(database):
    prefix = "resthooks." if database.driver == "pgsql" else "resthooks_"
    return int(database.sql(f"SELECT delivered FROM {prefix}subscription_stat")[0][0])


def waiting(database):
    prefix = "resthooks." if database.driver == "pgsql" else "resthooks_"
    return int(database.sql(f"SELECT count(*) FROM {prefix}queue")[0][0])


def way(bench, server, delay, seconds):
    """Capture and deliver events for that time. Return settled deliveries per second, and the
    queue's growth per second, both without the first second."""
    failed = []

    def send():
        try:
            wrk(bench, server.url + EMPLOYEES, seconds + 2, EMPLOYEE, {}, delay=delay)
        except RuntimeError as error:
            failed.append(error)

    driver = threading.Thread(target=send)
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
    """Return the pause in milliseconds with which events are published as fast as they are settled
    now."""
    cycle = 64e3 / (rate + growth)
    return max(delay + 2, int(delay + (64e3 / (rate * 1.02) - cycle) * 0.9))


def find_pause(bench, report, server, name):
    """Return the shortest pause of wrk's connections between two requests with which the queue does
    not grow, in milliseconds."""
    way(bench, server, 0, 2)
    drain(server)
    delay = 0
    while True:
        rate, growth = way(bench, server, delay, bench.seconds(8, 5))
        drain(server)
        report.note(f"{name}: pause {delay} ms: {rate:.0f}/s settled, queue {growth:+.0f}/s")
        if is_steady(rate, growth) or delay > 1000:
            return delay
        delay = longer(delay, rate, growth)


def way_measured(bench, report, server, column, delay):
    """Measure one round; if the queue grows, repeat it with a longer pause. Return the final
    pause."""
    for _ in range(4):
        meter, before = Meter(bench, server), settled(server.database)
        rate, growth = way(bench, server, delay, bench.seconds(60, 6))
        drain(server)
        cost = meter.end(settled(server.database) - before)
        if is_steady(rate, growth):
            report.cost("way", column, cost)
            report.add(f"way_{column}", rate)
            return delay
        report.note(f"way_{column}: pause {delay} ms: {rate:.0f}/s settled, queue "
                    f"{growth:+.0f}/s: not steady")
        delay = longer(delay, rate, growth)
    raise RuntimeError("no steady rate was found")


def all_the_way(bench, report, columns=("event", "worker")):
    """Return the maximum rate of events that are captured and settled without growth of the
    queue."""
    for column in columns:
        server = way_server(bench, column)
        delay = find_pause(bench, report, server, f"way_{column}")
        for _ in range(bench.rounds()):
            load = bench.load(server)
            delay = way_measured(bench, report, server, column, delay)
            report.load("way", load)
        server.close()


# ---- requests that make no event ----

def proxied(bench, report):
    """Make the same requests to a server without the module and to one whose rules do not match, in
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
        report.add("proxied_event", rates[watched] / rates[plain])
    report.load("proxied", load)
    if events_stored(watched.database) != [0, 0]:
        raise RuntimeError("a rule matched")
    plain.close()
    watched.close()


def on_sqlite(bench, report):
    """Measure all of these with SQLite."""
    server = publish_server(bench, "sqlite")
    publish(bench, server, 1, 2)
    for _ in range(bench.rounds()):
        load = bench.load(server)
        publish_measured(bench, report, server, "sqlite", bench.seconds(8, 4))
        report.load("sqlite", load)
    server.close()
    captured(bench, report, ["sqlite"])
    all_the_way(bench, report, ["sqlite"])
