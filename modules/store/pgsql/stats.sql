-- Licensed under the Apache License, Version 2.0: see LICENSE.
-- Read statistics in buckets of time: from sums per hour (stat_hour), or, if buckets are shorter
-- than an hour, from the logs.

-- fragment: two_digits
-- Rounds a duration to two significant digits, which leaves at most a few hundred values.
CASE WHEN a.ms < 100 THEN a.ms WHEN a.ms < 1000 THEN a.ms / 10 * 10
 WHEN a.ms < 10000 THEN a.ms / 100 * 100 ELSE a.ms / 1000 * 1000 END;

-- fragment: zero_id
-- Stands for all subscriptions of a tenant.
'00000000-0000-0000-0000-000000000000'::uuid;

-- ---- from hours ----

-- fragment: own_changes
-- Changes that are not yet part of their hour's sums. `first` and `last` are both the id of one
-- subscription, or the bounds of all ids.
resthooks.stat_change c WHERE c.tenant = :tenant AND c.subscription_id >= :first::uuid
 AND c.subscription_id <= :last::uuid
 AND c.hour >= CAST(:from AS bigint) AND c.hour < CAST(:until AS bigint);

-- fragment: own_pending
-- Pending deliveries in a range of ids; if there are many, only the newest.
(SELECT q.subscription_id, resthooks.uuid_ms(q.delivery_id) AS ms FROM resthooks.queue q
 WHERE :of_tenant AND CAST(q.subscription_id AS text) >= :first
 AND CAST(q.subscription_id AS text) <= :last AND q.delivery_id >= :lowest::uuid
 AND q.delivery_id < :end::uuid ORDER BY q.delivery_id DESC NULLS LAST LIMIT 100000) AS p;

-- name: stats_hours
-- Returns the counts of hours. Several rows may belong to one hour; the caller adds them up. One
-- statement reads everything, because a delivery that ends moves from the queue to the changes, and
-- later to the hours. Only the primary key has rows in the order in which hours are compared.
-- returns: hour, delivered, failed, cancelled, pending, durations
SELECT h.hour, h.delivered, h.failed, h.cancelled, 0 AS pending, h.durations
 FROM resthooks.stat_hour h WHERE (h.tenant, h.subscription_id, h.hour) >= (:tenant,
 :counted_id::uuid, CAST(:from AS bigint)) AND (h.tenant, h.subscription_id, h.hour) < (:tenant,
 :counted_id::uuid, CAST(:until AS bigint))
 UNION ALL SELECT c.hour, sum(c.delivered), sum(c.failed), sum(c.cancelled), 0,
 json_build_object(c.ms, sum(c.attempts))::text FROM :own_changes GROUP BY c.hour, c.ms
 UNION ALL SELECT p.ms / 3600000 * 3600000, 0, 0, 0, count(*), '{}' FROM :own_pending GROUP BY 1;

-- name: stats_hours_subscriptions
-- Counts each subscription's deliveries by bucket, in order. Subscriptions are found by walking the
-- index from one to the next, because each has many hours.
-- returns: subscription_id, n, delivered, failed
WITH RECURSIVE s(id) AS (SELECT CAST(:first AS uuid)
 UNION ALL SELECT (SELECT x.subscription_id FROM resthooks.stat_hour x WHERE x.tenant = :tenant
 AND x.subscription_id > s.id ORDER BY x.subscription_id LIMIT 1) FROM s WHERE s.id IS NOT NULL),
 r AS (SELECT h.subscription_id, h.hour AS ms, h.delivered, h.failed FROM s
 CROSS JOIN LATERAL (SELECT * FROM resthooks.stat_hour y
 WHERE (y.tenant, y.subscription_id, y.hour) >= (:tenant, s.id, CAST(:from AS bigint))
 AND (y.tenant, y.subscription_id, y.hour) < (:tenant, s.id, CAST(:until AS bigint))
 AND s.id <> :zero_id OFFSET 0) AS h
 UNION ALL SELECT c.subscription_id, c.hour, c.delivered, c.failed FROM :own_changes
 UNION ALL SELECT p.subscription_id, p.ms, 0, 0 FROM :own_pending)
 SELECT r.subscription_id, (r.ms - CAST(:from AS bigint)) / CAST(:step AS bigint) AS n,
 sum(r.delivered) AS delivered, sum(r.failed) AS failed FROM r
 GROUP BY r.subscription_id, n ORDER BY r.subscription_id, n LIMIT CAST(:limit AS integer);

-- ---- from the logs ----

-- fragment: buckets
-- n is the number of the bucket, low its lowest id, and high the first id after it. Ids sort by
-- time, so a bucket is a range of ids that an index finds.
json_to_recordset(:ranges::json) AS b (n integer, low uuid, high uuid);

-- fragment: ended_within
-- Deliveries in buckets that have ended: those that are not in the queue.
:buckets CROSS JOIN resthooks.delivery d
 WHERE d.tenant = :tenant AND d.id >= b.low AND d.id < b.high AND d.state <> 'pending';

-- fragment: pending_states
SELECT (p.ms - CAST(:from AS bigint)) / CAST(:step AS bigint), 'pending', count(*)
 FROM :own_pending GROUP BY 1;

-- name: stats_states
-- Counts the deliveries of buckets by their state.
-- returns: n, state, count
SELECT b.n, d.state, count(*) FROM :ended_within GROUP BY b.n, d.state UNION ALL :pending_states;

-- name: stats_states_subscription
-- returns: as stats_states
SELECT b.n, d.state, count(*) FROM :ended_within AND d.subscription_id = :first::uuid
 GROUP BY b.n, d.state UNION ALL :pending_states;

-- fragment: only_attempts
-- Attempts that are part of their deliveries' rows. The deliveries are read from an earlier id,
-- because an attempt may begin in a later bucket than its delivery.
SELECT (resthooks.uuid_ms(a.attempt_id) - CAST(:from AS bigint)) / CAST(:step AS bigint),
 :two_digits, count(*) FROM resthooks.delivery a WHERE a.tenant = :tenant
 AND a.id >= :earliest::uuid AND a.id < :end::uuid AND a.attempt_id >= :lowest::uuid
 AND a.attempt_id < :end::uuid;

-- name: stats_durations
-- Counts attempts by their duration, in milliseconds rounded to two digits.
-- returns: n, rounded, count
SELECT b.n, :two_digits AS rounded, count(*) FROM :buckets CROSS JOIN resthooks.attempt a
 WHERE a.tenant = :tenant AND a.id >= b.low AND a.id < b.high GROUP BY b.n, rounded
 UNION ALL :only_attempts GROUP BY 1, 2;

-- name: stats_durations_subscription
-- Does the same for one subscription's deliveries in a range of ids. The deliveries are collected
-- first, because looking up the delivery of each attempt takes longer.
-- returns: as stats_durations
WITH mine AS MATERIALIZED (SELECT d.id FROM resthooks.delivery d WHERE d.tenant = :tenant
 AND d.subscription_id = :first::uuid AND d.id >= :earliest::uuid AND d.id < :end::uuid
 UNION ALL SELECT q.delivery_id FROM resthooks.queue q WHERE q.tenant = :tenant
 AND q.subscription_id = :first::uuid)
 SELECT b.n, :two_digits AS rounded, count(*) FROM :buckets CROSS JOIN resthooks.attempt a
 WHERE a.tenant = :tenant AND a.id >= b.low AND a.id < b.high
 AND a.delivery_id IN (SELECT id FROM mine) GROUP BY b.n, rounded
 UNION ALL :only_attempts AND a.subscription_id = :first::uuid GROUP BY 1, 2;

-- name: stats_subscriptions
-- Counts the deliveries of buckets by subscription, in order.
-- returns: as stats_hours_subscriptions
WITH r AS (SELECT d.subscription_id, b.n, d.state FROM :ended_within
 UNION ALL SELECT p.subscription_id, (p.ms - CAST(:from AS bigint)) / CAST(:step AS bigint),
 'pending' FROM :own_pending)
 SELECT r.subscription_id, r.n, sum(CASE r.state WHEN 'delivered' THEN 1 ELSE 0 END) AS delivered,
 sum(CASE r.state WHEN 'failed' THEN 1 ELSE 0 END) AS failed FROM r
 GROUP BY r.subscription_id, r.n ORDER BY r.subscription_id, r.n LIMIT CAST(:limit AS integer);

-- ---- adding up ----

-- fragment: hour_sums
-- Adds the rows of `change` up to hours, per subscription and per tenant.
SELECT g.tenant, g.id AS subscription_id, g.hour, sum(g.delivered) AS delivered,
 sum(g.failed) AS failed, sum(g.cancelled) AS cancelled, coalesce((jsonb_object_agg(g.ms, g.attempts)
 FILTER (WHERE g.attempts <> 0))::text, '{}') AS durations
 FROM (SELECT c.tenant, coalesce(c.subscription_id, :zero_id) AS id, c.hour, c.ms,
 sum(c.delivered) AS delivered, sum(c.failed) AS failed, sum(c.cancelled) AS cancelled,
 sum(c.attempts) AS attempts FROM change c
 GROUP BY GROUPING SETS ((c.tenant, c.hour, c.ms), (c.tenant, c.subscription_id, c.hour, c.ms))) AS g
 GROUP BY g.tenant, g.id, g.hour;

-- name: stats_turn
-- Reserves adding up for this process until the end of the transaction. Returns no row if another
-- process is adding up.
-- returns: turn
SELECT 1 AS turn WHERE pg_try_advisory_xact_lock(hashtextextended('resthooks.stats', 0));

-- name: stats_add_up
-- Adds a limited number of changes to their hours, and removes them.
WITH change AS MATERIALIZED (SELECT c.ctid AS place, c.* FROM resthooks.stat_change c
 LIMIT CAST(:limit AS integer)),
 added AS (INSERT INTO resthooks.stat_hour AS h (tenant, subscription_id, hour, delivered, failed,
 cancelled, durations) :hour_sums
 ON CONFLICT (tenant, subscription_id, hour) DO UPDATE SET
 delivered = h.delivered + excluded.delivered, failed = h.failed + excluded.failed,
 cancelled = h.cancelled + excluded.cancelled,
 durations = CASE WHEN excluded.durations = '{}' THEN h.durations
 ELSE resthooks.add_counts(h.durations, excluded.durations) END)
 DELETE FROM resthooks.stat_change WHERE ctid = ANY (ARRAY(SELECT change.place FROM change));

-- nothing: stats_changes_remove
-- stats_add_up has removed the changes.

-- name: old_hours
-- Removes a limited number of the hours that ended before retention.
DELETE FROM resthooks.stat_hour WHERE ctid = ANY (ARRAY(SELECT o.ctid
 FROM resthooks.stat_hour o
 WHERE o.hour < (SELECT resthooks.now_ms()) - :retention::bigint - 3600000
 ORDER BY o.hour LIMIT :limit::integer FOR UPDATE SKIP LOCKED));

-- ---- counting the log that an upgrade found ----

-- name: stats_recount_tenant
-- Returns the next tenant that has deliveries.
-- returns: tenant
SELECT d.tenant FROM resthooks.delivery d WHERE d.tenant > :after ORDER BY d.tenant LIMIT 1;

-- name: stats_recount_from
-- Returns the delivery at which a chunk begins that ends before `end`, or no row if the chunk
-- contains all older deliveries.
-- returns: id
SELECT d.id FROM resthooks.delivery d WHERE d.tenant = :tenant AND d.id < :end::uuid
 ORDER BY d.id DESC LIMIT 1 OFFSET 5000;

-- name: stats_recount
-- Sets a tenant's hours to the counts in the log, less the changes that are still to be added.
WITH change AS MATERIALIZED (
 SELECT d.tenant, d.subscription_id, t.ms / 3600000 * 3600000 AS hour,
 CASE d.state WHEN 'delivered' THEN 1 ELSE 0 END AS delivered,
 CASE d.state WHEN 'failed' THEN 1 ELSE 0 END AS failed,
 CASE d.state WHEN 'cancelled' THEN 1 ELSE 0 END AS cancelled, 0 AS attempts, 0 AS ms
 FROM resthooks.delivery d CROSS JOIN LATERAL (SELECT resthooks.uuid_ms(d.id) AS ms) AS t
 WHERE d.tenant = :tenant AND d.id >= :lowest::uuid AND d.id < :end::uuid AND d.state <> 'pending'
 UNION ALL SELECT a.tenant, coalesce(d.subscription_id, q.subscription_id),
 t.ms / 3600000 * 3600000, 0, 0, 0, 1, :two_digits
 FROM resthooks.attempt a CROSS JOIN LATERAL (SELECT resthooks.uuid_ms(a.id) AS ms) AS t
 LEFT JOIN resthooks.delivery d ON d.tenant = a.tenant AND d.id = a.delivery_id
 LEFT JOIN resthooks.queue q ON q.tenant = a.tenant AND q.delivery_id = a.delivery_id
 WHERE a.tenant = :tenant AND a.id >= :lowest::uuid AND a.id < :end::uuid
 AND coalesce(d.subscription_id, q.subscription_id) IS NOT NULL
 UNION ALL SELECT a.tenant, a.subscription_id, t.ms / 3600000 * 3600000, 0, 0, 0, 1, :two_digits
 FROM resthooks.delivery a CROSS JOIN LATERAL (SELECT resthooks.uuid_ms(a.attempt_id) AS ms) AS t
 WHERE a.tenant = :tenant AND a.id >= :earliest::uuid AND a.id < :end::uuid
 AND a.attempt_id >= :lowest::uuid AND a.attempt_id < :end::uuid
 UNION ALL SELECT c.tenant, c.subscription_id, c.hour, -c.delivered, -c.failed, -c.cancelled,
 -c.attempts, c.ms FROM resthooks.stat_change c WHERE c.tenant = :tenant
 AND c.hour >= CAST(:from AS bigint) AND c.hour < CAST(:until AS bigint))
 INSERT INTO resthooks.stat_hour (tenant, subscription_id, hour, delivered, failed,
 cancelled, durations) :hour_sums
 ON CONFLICT (tenant, subscription_id, hour) DO UPDATE SET delivered = excluded.delivered,
 failed = excluded.failed, cancelled = excluded.cancelled, durations = excluded.durations;

-- name: stats_recount_note
UPDATE resthooks.setting SET value = :value WHERE name = 'stats_recount';

-- name: stats_recount_end
DELETE FROM resthooks.setting WHERE name = 'stats_recount';
