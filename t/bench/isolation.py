# Licensed under the Apache License, Version 2.0: see LICENSE.
"""How soon a healthy target gets its events, alone and beside targets that hang or are dead."""

import http.client
import json
import random
import threading
import time
import urllib.parse

from tools import free_port
from throughput import EMPLOYEE

RATE = 200
PACERS = 8
HANGING = 10000
DUE = 100000
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


class Pacer(threading.Thread):
    """One connection that POSTs at random moments, on average every PACERS / RATE seconds. A
    request does not wait for earlier responses: a late one is sent at once."""

    def __init__(self, url, until):
        super().__init__()
        self.url, self.until = url, until
        self.answers = {}
        self.error = None

    def run(self):
        place = urllib.parse.urlsplit(self.url)
        connection = http.client.HTTPConnection(place.hostname, place.port, timeout=60)
        due = time.monotonic() + random.random() * PACERS / RATE
        try:
            while due < self.until:
                time.sleep(max(0, due - time.monotonic()))
                connection.request("POST", place.path, EMPLOYEE,
                                   {"Content-Type": "application/json"})
                answer = connection.getresponse()
                body = answer.read()
                now = time.time_ns() // 1000
                if answer.status != 201:
                    raise RuntimeError(f"status {answer.status}")
                self.answers[json.loads(body)["id"]] = now
                due += random.expovariate(RATE / PACERS)
        except (OSError, RuntimeError, http.client.HTTPException) as error:
            self.error = error
        finally:
            connection.close()


def percentile(values, percent):
    values = sorted(values)
    return values[min(len(values) - 1, int(len(values) * percent / 100))]


def times(bench, server, seconds):
    """Return, for each event, the milliseconds from its commit (PostgreSQL's time stamp) to its
    first byte at the target, and from the response's arrival at the client, which is after the
    commit, to that byte."""
    bench.sink.notes()
    pacers = [Pacer(server.url + "/employers/acme/employees", time.monotonic() + seconds)
              for _ in range(PACERS)]
    for pacer in pacers:
        pacer.start()
    answered = {}
    for pacer in pacers:
        pacer.join()
        if pacer.error:
            raise RuntimeError(f"a request failed: {pacer.error}")
        answered.update(pacer.answers)
    notes, end = {}, time.monotonic() + 30
    while len(notes) < len(answered) and time.monotonic() < end:
        notes.update({event: at for event, at in bench.sink.notes().items() if event not in notes})
        time.sleep(0.1)
    if len(notes) < len(answered):
        raise RuntimeError(f"{len(answered) - len(notes)} of {len(answered)} events did not come")
    rows = server.database.sql(
        "SELECT id, data::json ->> 'id', (extract(epoch FROM pg_xact_commit_timestamp(xmin))"
        " * 1000000)::bigint FROM resthooks.event WHERE tenant = 'acme'"
        f" ORDER BY id DESC LIMIT {len(answered)}")
    committed = [(notes[event] - int(at)) / 1000 for event, _, at in rows if event in notes]
    seen = [(notes[event] - answered[int(number)]) / 1000 for event, number, _ in rows
            if event in notes and int(number) in answered]
    return committed, seen


def healthy_server(bench, config=""):
    server = bench.server(bench.database("pgsql"), backend=bench.sink, extra=config, retry=None)
    server.api("acme").subscribe(bench.sink.url + "/note", ["employee.created"])
    times(bench, server, 2)
    return server


def latency(bench, report):
    server = healthy_server(bench)
    for _ in range(bench.rounds()):
        load = bench.load(server)
        committed, seen = times(bench, server, bench.seconds(20, 8))
        report.add("latency_median_event", percentile(committed, 50))
        report.add("latency_p99_event", percentile(committed, 99))
        report.add("latency_from_answer_median", percentile(seen, 50))
        report.add("latency_from_answer_p99", percentile(seen, 99))
        report.load("latency", load)
    server.close()


def subscribe_many(server, tenant, pattern, urls):
    """Insert subscriptions by SQL: `urls` is an expression of n = 1, 2, …"""
    first, last, expression = urls
    server.database.sql(f"""
        WITH made AS (INSERT INTO resthooks.hook
            (tenant, id, target_url, secret, base_url, created_at, updated_at)
            SELECT '{tenant}', gen_random_uuid(), {expression}, '{SECRET}', 'http://localhost',
                   resthooks.now_ms(), resthooks.now_ms()
            FROM generate_series({first}, {last}) AS n RETURNING id),
        listed AS (INSERT INTO resthooks.subscription_event
            SELECT '{tenant}', '{pattern}', id, 0 FROM made)
        INSERT INTO resthooks.subscription_stat (tenant, subscription_id)
        SELECT '{tenant}', id FROM made""")


def unsubscribe_all(server, tenant):
    server.database.sql(f"DELETE FROM resthooks.queue WHERE tenant = '{tenant}';"
                        f"DELETE FROM resthooks.hook WHERE tenant = '{tenant}'")


def memory(server):
    """Return the memory of all of httpd's processes, in MB."""
    return sum(server.memory(pid) for pid in server.processes()) / 1024


def hanging(bench, report):
    """All targets hang at once, as many as there are slots. They hang for 40 s, during which this
    measures; each round has new targets, because those that timed out are known to be bad."""
    seconds = bench.seconds(15, 6)
    server = healthy_server(bench, "RestHooksTimeout 40s\n")
    server.stop()
    server.server_config += "RestHooksConcurrency 16384\nRestHooksHostConcurrency 16384\n"
    server.write_config()
    server.start()
    for number in range(bench.rounds()):
        load = bench.load(server)
        tenant = f"hanging{number}"
        without = percentile(times(bench, server, seconds)[0], 99)
        before = memory(server)
        subscribe_many(server, tenant, "employee.updated",
                       (1, HANGING, f"'{bench.sink.url}/hang' || n"))
        answer = server.api(tenant, "app").post(
            "/events", {"type": "employee.updated", "data": {"id": 1}})
        if answer.status != 202:
            raise RuntimeError(f"not published: {answer}")
        end = time.monotonic() + 20
        while bench.sink.count()[1] <= HANGING and time.monotonic() < end:
            time.sleep(0.2)
        most = bench.sink.count()[1]
        report.note(f"{most} connections after {time.monotonic() - end + 20:.1f} s")
        during = percentile(times(bench, server, seconds)[0], 99)
        least = bench.sink.count()[1]
        peak = memory(server)
        report.note(f"hanging connections: {most}, {least} at the end; memory {before:.0f} to "
                    f"{peak:.0f} MB; healthy 99 %: {without:.2f} to {during:.2f} ms")
        if least < HANGING * 0.9:
            raise RuntimeError("not all of them hung at once")
        report.add("hang_memory_event", peak - before)
        report.add("hang_latency_event", during / without)
        report.load("hang", load)
        unsubscribe_all(server, tenant)
        end = time.monotonic() + 60
        while bench.sink.count()[1] > HANGING / 10 and time.monotonic() < end:
            time.sleep(0.5)
    server.close()


def dead(bench, report):
    """A target that does not listen has 100,000 deliveries due; in turns with and without them."""
    seconds = bench.seconds(15, 6)
    server = healthy_server(bench)
    subscribe_many(server, "dead", "dead.on",
                   (1, 1, f"'http://127.0.0.1:{free_port()}/in'"))
    server.database.sql("""
        INSERT INTO resthooks.event (tenant, id, type, time, source, data)
        VALUES ('dead', resthooks.uuidv7(), 'dead.on', resthooks.now_ms(), 'publish', '{"id":1}')""")
    for _ in range(bench.rounds()):
        load = bench.load(server)
        without = percentile(times(bench, server, seconds)[0], 99)
        server.database.sql(f"""
            INSERT INTO resthooks.queue (tenant, delivery_id, subscription_id, event_id, due_at)
            SELECT 'dead', (left(e.id::text, 18) || right(gen_random_uuid()::text, 18))::uuid, s.id,
                e.id, resthooks.now_ms() - 60000
            FROM resthooks.event e, resthooks.hook s, generate_series(1, {DUE})
            WHERE e.tenant = 'dead' AND s.tenant = 'dead'""")
        time.sleep(2)
        during = percentile(times(bench, server, seconds)[0], 99)
        left = int(server.database.sql("SELECT count(*) FROM resthooks.queue"
                                       " WHERE tenant = 'dead'")[0][0])
        report.note(f"healthy 99 %: {without:.2f} to {during:.2f} ms; {left} left")
        report.add("dead_latency_event", during / without)
        report.load("dead", load)
        server.database.sql("DELETE FROM resthooks.queue WHERE tenant = 'dead';"
                            "UPDATE resthooks.subscription_stat SET failing_since = NULL,"
                            " paused_until = 0 WHERE tenant = 'dead'")
        time.sleep(2)
    server.close()
