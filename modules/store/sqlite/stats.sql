-- Licensed under the Apache License, Version 2.0: see LICENSE.
-- Read statistics in buckets of time: from sums per hour (stat_hour), or, if buckets are shorter
-- than an hour, from the logs.

-- fragment: two_digits
-- Rounds a duration to two significant digits, which leaves at most a few hundred values.
CASE WHEN a.ms < 100 THEN a.ms WHEN a.ms < 1000 THEN a.ms / 10 * 10
 WHEN a.ms < 10000 THEN a.ms / 100 * 100 ELSE a.ms / 1000 * 1000 END;

-- fragment: uuid_ms
-- The time in the id x.id. instr() returns the value of a hexadecimal digit; it does not find 0,
-- which gives the value 0.
((instr('123456789abcdef', substr(x.id, 1, 1)) << 44)
 | (instr('123456789abcdef', substr(x.id, 2, 1)) << 40)
 | (instr('123456789abcdef', substr(x.id, 3, 1)) << 36)
 | (instr('123456789abcdef', substr(x.id, 4, 1)) << 32)
 | (instr('123456789abcdef', substr(x.id, 5, 1)) << 28)
 | (instr('123456789abcdef', substr(x.id, 6, 1)) << 24)
 | (instr('123456789abcdef', substr(x.id, 7, 1)) << 20)
 | (instr('123456789abcdef', substr(x.id, 8, 1)) << 16)
 | (instr('123456789abcdef', substr(x.id, 10, 1)) << 12)
 | (instr('123456789abcdef', substr(x.id, 11, 1)) << 8)
 | (instr('123456789abcdef', substr(x.id, 12, 1)) << 4)
 | instr('123456789abcdef', substr(x.id, 13, 1)));

-- fragment: zero_id
-- Stands for all subscriptions of a tenant.
'00000000-0000-0000-0000-000000000000';

-- ---- from hours ----

-- fragment: own_changes
-- Changes that are not yet part of their hour's sums. `first` and `last` are both the id of one
-- subscription, or the bounds of all ids.
resthooks_stat_change c WHERE c.tenant = :tenant AND c.subscription_id >= :first
 AND c.subscription_id <= :last
 AND c.hour >= CAST(:from AS integer) AND c.hour < CAST(:until AS integer);

-- fragment: own_pending
-- Pending deliveries in a range of ids; if there are many, only the newest.
(SELECT x.subscription_id, :uuid_ms AS ms FROM (SELECT q.subscription_id, q.delivery_id AS id
 FROM resthooks_queue q WHERE q.tenant = :tenant AND +q.subscription_id >= :first
 AND +q.subscription_id <= :last AND q.delivery_id >= :lowest AND q.delivery_id < :end
 ORDER BY q.delivery_id DESC LIMIT 100000) AS x) AS p;

-- name: stats_hours
-- Returns the counts of hours. Several rows may belong to one hour; the caller adds them up. One
-- statement reads everything, because a delivery that ends moves from the queue to the changes, and
-- later to the hours.
-- returns: hour, delivered, failed, cancelled, pending, durations
SELECT h.hour, h.delivered, h.failed, h.cancelled, 0 AS pending, h.durations
 FROM resthooks_stat_hour h WHERE h.tenant = :tenant AND h.subscription_id = :counted_id
 AND h.hour >= CAST(:from AS integer) AND h.hour < CAST(:until AS integer)
 UNION ALL SELECT c.hour, sum(c.delivered), sum(c.failed), sum(c.cancelled), 0,
 json_object(CAST(c.ms AS text), sum(c.attempts)) FROM :own_changes GROUP BY c.hour, c.ms
 UNION ALL SELECT p.ms / 3600000 * 3600000, 0, 0, 0, count(*), '{}' FROM :own_pending GROUP BY 1;

-- name: stats_hours_subscriptions
-- Counts each subscription's deliveries by bucket, in order. Subscriptions are found by walking the
-- index from one to the next, because each has many hours.
-- returns: subscription_id, n, delivered, failed
WITH RECURSIVE s(id) AS (SELECT :first
 UNION ALL SELECT (SELECT x.subscription_id FROM resthooks_stat_hour x WHERE x.tenant = :tenant
 AND x.subscription_id > s.id ORDER BY x.subscription_id LIMIT 1) FROM s WHERE s.id IS NOT NULL),
 r AS (SELECT h.subscription_id, h.hour AS ms, h.delivered, h.failed FROM s
 CROSS JOIN resthooks_stat_hour h WHERE h.tenant = :tenant AND h.subscription_id = s.id
 AND s.id <> :zero_id AND h.hour >= CAST(:from AS integer) AND h.hour < CAST(:until AS integer)
 UNION ALL SELECT c.subscription_id, c.hour, c.delivered, c.failed FROM :own_changes
 UNION ALL SELECT p.subscription_id, p.ms, 0, 0 FROM :own_pending)
 SELECT r.subscription_id, (r.ms - CAST(:from AS integer)) / CAST(:step AS integer) AS n,
 sum(r.delivered) AS delivered, sum(r.failed) AS failed FROM r
 GROUP BY r.subscription_id, n ORDER BY r.subscription_id, n LIMIT CAST(:limit AS integer);

-- ---- from the logs ----

-- fragment: buckets
-- n is the number of the bucket, low its lowest id, and high the first id after it. Ids sort by
-- time, so a bucket is a range of ids that an index finds.
(SELECT json_extract(value, '$.n') AS n, json_extract(value, '$.low') AS low,
 json_extract(value, '$.high') AS high FROM json_each(:ranges)) b;

-- fragment: ended_within
-- Deliveries in buckets that have ended: those that are not in the queue.
:buckets CROSS JOIN resthooks_delivery d
 WHERE d.tenant = :tenant AND d.id >= b.low AND d.id < b.high AND d.state <> 'pending';

-- fragment: pending_states
SELECT (p.ms - CAST(:from AS integer)) / CAST(:step AS integer), 'pending', count(*)
 FROM :own_pending GROUP BY 1;

-- name: stats_states
-- Counts the deliveries of buckets by their state.
-- returns: n, state, count
SELECT b.n, d.state, count(*) AS count FROM :ended_within GROUP BY b.n, d.state
 UNION ALL :pending_states;

-- name: stats_states_subscription
-- returns: as stats_states
SELECT b.n, d.state, count(*) AS count FROM :ended_within AND d.subscription_id = :first
 GROUP BY b.n, d.state UNION ALL :pending_states;

-- fragment: only_attempts
-- Attempts that are part of their deliveries' rows. The deliveries are read from an earlier id,
-- because an attempt may begin in a later bucket than its delivery.
SELECT (a.at - CAST(:from AS integer)) / CAST(:step AS integer), :two_digits, count(*)
 FROM (SELECT x.subscription_id, x.ms, :uuid_ms AS at FROM (SELECT d.subscription_id, d.ms,
 d.attempt_id AS id FROM resthooks_delivery d WHERE d.tenant = :tenant AND d.id >= :earliest
 AND d.id < :end AND d.attempt_id >= :lowest AND d.attempt_id < :end) AS x) AS a WHERE true;

-- name: stats_durations
-- Counts attempts by their duration, in milliseconds rounded to two digits.
-- returns: n, rounded, count
SELECT b.n, :two_digits AS rounded, count(*) AS count FROM :buckets CROSS JOIN resthooks_attempt a
 WHERE a.tenant = :tenant AND a.id >= b.low AND a.id < b.high GROUP BY b.n, rounded
 UNION ALL :only_attempts GROUP BY 1, 2;

-- name: stats_durations_subscription
-- Does the same for one subscription's deliveries in a range of ids. The deliveries are collected
-- first, because looking up the delivery of each attempt takes longer.
-- returns: as stats_durations
WITH mine AS MATERIALIZED (SELECT d.id FROM resthooks_delivery d WHERE d.tenant = :tenant
 AND d.subscription_id = :first AND d.id >= :earliest AND d.id < :end
 UNION ALL SELECT q.delivery_id FROM resthooks_queue q WHERE q.tenant = :tenant
 AND q.subscription_id = :first)
 SELECT b.n, :two_digits AS rounded, count(*) AS count FROM :buckets CROSS JOIN resthooks_attempt a
 WHERE a.tenant = :tenant AND a.id >= b.low AND a.id < b.high
 AND a.delivery_id IN (SELECT id FROM mine) GROUP BY b.n, rounded
 UNION ALL :only_attempts AND a.subscription_id = :first GROUP BY 1, 2;

-- name: stats_subscriptions
-- Counts the deliveries of buckets by subscription, in order.
-- returns: as stats_hours_subscriptions
WITH r AS (SELECT d.subscription_id, b.n, d.state FROM :ended_within
 UNION ALL SELECT p.subscription_id, (p.ms - CAST(:from AS integer)) / CAST(:step AS integer),
 'pending' FROM :own_pending)
 SELECT r.subscription_id, r.n, sum(CASE r.state WHEN 'delivered' THEN 1 ELSE 0 END) AS delivered,
 sum(CASE r.state WHEN 'failed' THEN 1 ELSE 0 END) AS failed FROM r
 GROUP BY r.subscription_id, r.n ORDER BY r.subscription_id, r.n LIMIT CAST(:limit AS integer);

-- ---- adding up ----

-- fragment: hour_sums
-- Adds the rows of `change` up to hours, per subscription and per tenant.
SELECT g.tenant, g.id, g.hour, sum(g.delivered), sum(g.failed), sum(g.cancelled),
 coalesce(json_group_object(CAST(g.ms AS text), g.attempts) FILTER (WHERE g.attempts <> 0), '{}')
 FROM (SELECT c.tenant, c.subscription_id AS id, c.hour, c.ms, sum(c.delivered) AS delivered,
 sum(c.failed) AS failed, sum(c.cancelled) AS cancelled, sum(c.attempts) AS attempts FROM change c
 GROUP BY c.tenant, c.subscription_id, c.hour, c.ms
 UNION ALL SELECT c.tenant, :zero_id, c.hour, c.ms, sum(c.delivered), sum(c.failed),
 sum(c.cancelled), sum(c.attempts) FROM change c GROUP BY c.tenant, c.hour, c.ms) AS g
 GROUP BY g.tenant, g.id, g.hour;

-- fragment: first_changes
-- A limited number of the oldest changes.
resthooks_stat_change WHERE rowid IN (SELECT rowid FROM resthooks_stat_change
 ORDER BY rowid LIMIT CAST(:limit AS integer));

-- name: stats_turn
-- No other transaction can write at the same time.
-- returns: turn
SELECT 1 AS turn;

-- name: stats_add_up
-- Adds a limited number of changes to their hours; stats_changes_remove then removes these changes.
WITH change AS MATERIALIZED (SELECT * FROM :first_changes)
 INSERT INTO resthooks_stat_hour (tenant, subscription_id, hour, delivered, failed,
 cancelled, durations) SELECT * FROM (:hour_sums) WHERE true
 ON CONFLICT (tenant, subscription_id, hour) DO UPDATE SET
 delivered = delivered + excluded.delivered, failed = failed + excluded.failed,
 cancelled = cancelled + excluded.cancelled,
 durations = CASE WHEN excluded.durations = '{}' THEN durations
 ELSE (SELECT json_group_object(j.key, j.count) FROM (SELECT i.key, sum(i.value) AS count
 FROM (SELECT key, value FROM json_each(resthooks_stat_hour.durations)
 UNION ALL SELECT key, value FROM json_each(excluded.durations)) AS i GROUP BY i.key) AS j) END;

-- name: stats_changes_remove
DELETE FROM :first_changes;

-- name: old_hours
-- Removes a limited number of the hours that ended before retention.
DELETE FROM resthooks_stat_hour WHERE (tenant, subscription_id, hour) IN
 (SELECT o.tenant, o.subscription_id, o.hour FROM resthooks_stat_hour o
 WHERE o.hour < :clock - CAST(:retention AS integer) - 3600000
 ORDER BY o.hour LIMIT CAST(:limit AS integer));

-- ---- counting the log that an upgrade found ----

-- name: stats_recount_tenant
-- Returns the next tenant that has deliveries.
-- returns: tenant
SELECT d.tenant FROM resthooks_delivery d WHERE d.tenant > :after ORDER BY d.tenant LIMIT 1;

-- name: stats_recount_from
-- Returns the delivery at which a chunk begins that ends before `end`, or no row if the chunk
-- contains all older deliveries.
-- returns: id
SELECT d.id FROM resthooks_delivery d WHERE d.tenant = :tenant AND d.id < :end
 ORDER BY d.id DESC LIMIT 1 OFFSET 5000;

-- name: stats_recount
-- Sets a tenant's hours to the counts in the log, less the changes that are still to be added.
WITH change AS MATERIALIZED (
 SELECT e.tenant, e.subscription_id, e.at / 3600000 * 3600000 AS hour,
 e.state = 'delivered' AS delivered, e.state = 'failed' AS failed,
 e.state = 'cancelled' AS cancelled, 0 AS attempts, 0 AS ms
 FROM (SELECT x.tenant, x.subscription_id, x.state, :uuid_ms AS at FROM resthooks_delivery x
  WHERE x.tenant = :tenant AND x.id >= :lowest AND x.id < :end AND x.state <> 'pending') AS e
 UNION ALL SELECT a.tenant, a.subscription_id, a.at / 3600000 * 3600000, 0, 0, 0, 1, :two_digits
 FROM (SELECT x.tenant, coalesce(d.subscription_id, q.subscription_id) AS subscription_id, x.ms,
  :uuid_ms AS at FROM resthooks_attempt x
  LEFT JOIN resthooks_delivery d ON d.tenant = x.tenant AND d.id = x.delivery_id
  LEFT JOIN resthooks_queue q ON q.tenant = x.tenant AND q.delivery_id = x.delivery_id
  WHERE x.tenant = :tenant AND x.id >= :lowest AND x.id < :end
  UNION ALL SELECT x.tenant, x.subscription_id, x.ms, :uuid_ms FROM (SELECT d.tenant,
  d.subscription_id, d.ms, d.attempt_id AS id FROM resthooks_delivery d WHERE d.tenant = :tenant
  AND d.id >= :earliest AND d.id < :end AND d.attempt_id >= :lowest AND d.attempt_id < :end) AS x)
 AS a WHERE a.subscription_id IS NOT NULL
 UNION ALL SELECT c.tenant, c.subscription_id, c.hour, -c.delivered, -c.failed, -c.cancelled,
 -c.attempts, c.ms FROM resthooks_stat_change c WHERE c.tenant = :tenant
 AND c.hour >= CAST(:from AS integer) AND c.hour < CAST(:until AS integer))
 INSERT INTO resthooks_stat_hour (tenant, subscription_id, hour, delivered, failed,
 cancelled, durations) SELECT * FROM (:hour_sums) WHERE true
 ON CONFLICT (tenant, subscription_id, hour) DO UPDATE SET delivered = excluded.delivered,
 failed = excluded.failed, cancelled = excluded.cancelled, durations = excluded.durations;

-- name: stats_recount_note
UPDATE resthooks_setting SET value = :value WHERE name = 'stats_recount';

-- name: stats_recount_end
DELETE FROM resthooks_setting WHERE name = 'stats_recount';
