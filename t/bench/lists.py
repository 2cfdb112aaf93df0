# Licensed under the Apache License, Version 2.0: see LICENSE.
"""How long /stats and the API's lists take with the deliveries of 30 days."""

import datetime
import statistics
import time

SUBSCRIPTIONS = 100
DAYS = 30
DAY_MS = 86_400_000
# Each event has one delivery to each of the subscriptions. One delivery in a hundred fails, in
# three
# attempts; the others succeed in the first.
FILL = """
SET synchronous_commit = off;
DO $$ DECLARE part record; BEGIN
    FOR part IN SELECT name FROM resthooks.partitions LOOP
        EXECUTE format('DROP TABLE resthooks.%I', part.name);
    END LOOP;
END $$;
SELECT resthooks.ensure_partitions({retention}, {first});
SELECT resthooks.ensure_partitions({retention});
INSERT INTO resthooks.hook
    (tenant, id, target_url, secret, base_url, created_at, updated_at)
SELECT 'acme', gen_random_uuid(), 'http://127.0.0.1:9/' || n, 'whsec_c2VjcmV0', 'http://localhost',
       {first}, {first}
FROM generate_series(1, {subscriptions}) n;
INSERT INTO resthooks.subscription_event (tenant, pattern, subscription_id, position)
SELECT tenant, '*', id, 0 FROM resthooks.hook;
INSERT INTO resthooks.subscription_stat (tenant, subscription_id)
SELECT tenant, id FROM resthooks.hook;
CREATE FUNCTION id_at(ms bigint) RETURNS uuid LANGUAGE sql VOLATILE AS
$$ SELECT (left(resthooks.uuid_floor(ms)::text, 14) || '7' || right(gen_random_uuid()::text, 21))::uuid $$;
CREATE TABLE made AS SELECT n, id_at({first} + n * {step}) AS id, {first} + n * {step} AS ms,
    CASE n % 10 WHEN 0 THEN 'employee.deleted' WHEN 1 THEN 'employee.updated'
                ELSE 'employee.created' END AS type
FROM generate_series(1::bigint, {events}) n;
INSERT INTO resthooks.event (tenant, id, type, key, time, source, data)
SELECT 'acme', id, type, (n % 1000)::text, ms, CASE n % 100 WHEN 0 THEN 'publish' ELSE 'capture' END,
       '{{"id":' || n || ',"name":"Ada Lovelace ' || n || '"}}' FROM made;
CREATE TABLE sent AS SELECT (left(m.id::text, 18) || right(gen_random_uuid()::text, 18))::uuid AS id,
    m.id AS event_id, s.id AS subscription_id, m.type,
    m.ms, (m.n + s.n) % 100 = 0 AS failed, CASE WHEN (m.n + s.n) % 100 = 0 THEN 3 ELSE 1 END AS tries,
    CASE WHEN m.n % 10 = 0 THEN m.n % 90 * 10 + 100 ELSE 5 + (m.n * 7 + s.n) % 60 END AS took
FROM made m CROSS JOIN (SELECT id, row_number() OVER () AS n FROM resthooks.hook) s;
INSERT INTO resthooks.delivery (tenant, id, event_id, subscription_id, type, state, attempt_count,
                                last_status_code, attempt_id, started_at, ms, format)
SELECT 'acme', id, event_id, subscription_id, type, 'delivered', 1, 200, id_at(ms + 1), ms + 1, took,
       'array' FROM sent WHERE NOT failed;
INSERT INTO resthooks.delivery (tenant, id, event_id, subscription_id, type, state, attempt_count,
                                last_status_code)
SELECT 'acme', id, event_id, subscription_id, type, 'failed', 3, 503 FROM sent WHERE failed;
INSERT INTO resthooks.attempt (tenant, id, delivery_id, number, started_at, ms, status_code)
SELECT 'acme', id_at(ms + number), id, number, ms + number, took, 503
FROM sent, generate_series(1, 3) number WHERE failed;
INSERT INTO resthooks.stat_hour (tenant, subscription_id, hour, delivered, failed, durations)
SELECT 'acme', g.id, g.hour, sum(g.delivered), sum(g.failed), jsonb_object_agg(g.took, g.attempts)::text
FROM (SELECT coalesce(subscription_id, '00000000-0000-0000-0000-000000000000') AS id, hour, took,
             count(*) FILTER (WHERE NOT failed) AS delivered, count(*) FILTER (WHERE failed) AS failed,
             sum(tries) AS attempts
      FROM (SELECT *, ms - ms % 3600000 AS hour FROM sent) AS s
      GROUP BY GROUPING SETS ((hour, took), (subscription_id, hour, took))) AS g GROUP BY g.id, g.hour;
DROP TABLE made, sent;
"""


def fill(server, deliveries):
    first = int(time.time() * 1000) - DAYS * DAY_MS
    events = deliveries // SUBSCRIPTIONS
    server.database.sql(FILL.format(retention=DAYS * DAY_MS, first=first, events=events,
                                    step=DAYS * DAY_MS // events, subscriptions=SUBSCRIPTIONS))
    server.database.sql("VACUUM ANALYZE")
    server.database.sql("CHECKPOINT")


def iso(days_ago):
    when = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(days=days_ago)
    return when.strftime("%Y-%m-%dT%H:%M:%SZ")


def queries(subscription):
    """Return the paths of first pages: each filter alone, and some together. `q` requires a bounded
    span."""
    day = f"from={iso(15)}&to={iso(14)}"
    deliveries = ["", "state=pending", "state=delivered", "state=failed", "state=cancelled",
                  "status=503", "status=404", "event=employee.deleted", "event=no.such", day,
                  f"subscription={subscription}", f"subscription={subscription}&state=failed",
                  f"subscription={subscription}&state=cancelled",
                  f"subscription={subscription}&status=404",
                  f"event=employee.deleted&state=failed&{day}", "key=7", "key=none", f"q=none&{day}",
                  f"subscription={subscription}&source=sql"]
    events = ["", "type=employee.deleted", "type=no.such", "key=7", "key=none", "source=publish",
              "source=sql", "unmatched=true", day, f"q=Lovelace&{day}", f"q=none&{day}",
              f"type=employee.updated&key=1&{day}"]
    return ["/deliveries?" + query for query in deliveries] + ["/events?" + q for q in events]


def milliseconds(api, path, times=7):
    """Return the median time of a GET, without the first, which may prepare statements."""
    taken = []
    for _ in range(times + 1):
        start = time.monotonic()
        response = api.get(path)
        taken.append((time.monotonic() - start) * 1000)
        if response.status != 200:
            raise RuntimeError(f"GET {path}: {response}")
    return statistics.median(taken[1:])


def lists(bench, report):
    many = 1_000_000 if bench.quick else 10_000_000
    server = bench.server(bench.database("pgsql"))
    server.stop()
    start = time.monotonic()
    load = bench.load()
    fill(server, many)
    report.note(f"lists: filled {many:,} in {time.monotonic() - start:.0f} s")
    report.load("fill", load)
    server.start()
    api = server.api("acme")
    subscription = api.get("/subscriptions?limit=1").json[0]["id"]
    for _ in range(bench.rounds()):
        load = bench.load(server)
        report.add("stats_event", milliseconds(api, f"/stats?from={iso(DAYS)}"))
        times = {path: milliseconds(api, path) for path in queries(subscription)}
        slowest = sorted(times, key=times.get, reverse=True)
        report.note("lists, slowest: " + ", ".join(f"{p} {times[p]:.1f} ms" for p in slowest[:5]))
        report.add("lists_event", times[slowest[0]])
        report.load("lists", load)
    server.close()
