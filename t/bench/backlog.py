# Licensed under the Apache License, Version 2.0: see LICENSE.
"""How the duration of a claim depends on how many deliveries are due."""

import os
import statistics
import subprocess
import time

from isolation import subscribe_many
SUBSCRIPTIONS = 100
FEW = 10_000


def fill(server, deliveries):
    """Insert events, each with one due delivery to every subscription."""
    events = deliveries // SUBSCRIPTIONS
    subscribe_many(server, "acme", "employee.created", (1, SUBSCRIPTIONS, "'http://127.0.0.1:9/' || n"))
    server.database.sql(f"""
        SET synchronous_commit = off;
        CREATE TABLE made AS SELECT resthooks.uuidv7() AS id, n FROM generate_series(1, {events}) n;
        INSERT INTO resthooks.event (tenant, id, type, time, source, data)
        SELECT 'acme', id, 'employee.created', resthooks.now_ms(), 'publish', '{{"id":' || n || '}}' FROM made;
        INSERT INTO resthooks.queue (tenant, delivery_id, subscription_id, event_id, due_at)
        SELECT 'acme', (left(m.id::text, 18) || right(gen_random_uuid()::text, 18))::uuid, s.id, m.id,
            resthooks.now_ms() FROM made m CROSS JOIN resthooks.hook s;
        DROP TABLE made""")
    server.database.sql("VACUUM ANALYZE")
    server.database.sql("CHECKPOINT")


def times(bench, database, count):
    """Return the milliseconds of each claim, without the first few, which prepare the
    statements."""
    done = subprocess.run([os.path.join(bench.build, "t", "bench", "claim"), database.params,
                           str(count + 3)], stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, check=False, timeout=300)
    if done.returncode != 0:
        raise RuntimeError("claim: " + done.stderr)
    lines = [line.split() for line in done.stdout.splitlines()][3:]
    if any(int(jobs) != 256 for _, jobs in lines):
        raise RuntimeError(f"claims that did not bring 256 jobs: {lines}")
    return [int(us) / 1000 for us, _ in lines]


def claim(bench, report):
    many = 1_000_000 if bench.quick else 10_000_000
    databases = {}
    load = bench.load()
    for deliveries in (FEW, many):
        database = bench.database("pgsql")
        server = bench.server(database)  # creates the tables
        server.stop()
        start = time.monotonic()
        fill(server, deliveries)
        report.note(f"claim: filled {deliveries:,} in {time.monotonic() - start:.0f} s")
        databases[deliveries] = database
    report.load("fill", load)
    # In turns, each warmed up
    for deliveries in databases:
        times(bench, databases[deliveries], 10)
    for _ in range(max(3, bench.rounds(5))):
        load = bench.load()
        few = statistics.median(times(bench, databases[FEW], 30))
        lots = statistics.median(times(bench, databases[many], 30))
        report.add("claim_few_ms", few)
        report.add("claim_many_ms", lots)
        report.add("claim_event", lots / few)
        report.load("claim", load)
    for database in databases.values():
        database.remove()
