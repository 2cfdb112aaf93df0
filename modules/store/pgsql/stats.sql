-- Licensed under the Apache License, Version 2.0: see LICENSE.
-- Statistics of the logs in buckets of time. Ids sort by time, so a bucket is a range of ids and
-- each is read by a range of the index.

-- fragment: buckets
-- n is the number of the bucket, low its lowest id, high the id to end before.
json_to_recordset(:ranges::json) AS b (n integer, low uuid, high uuid);

-- name: stats_states
-- Counts the deliveries of buckets by their state.
-- returns: n, state, count
SELECT b.n, d.state, count(*) FROM :buckets CROSS JOIN resthooks.delivery d
 WHERE d.tenant = :tenant AND d.id >= b.low AND d.id < b.high AND d.state <> 'pending'
 GROUP BY b.n, d.state
 UNION ALL SELECT b.n, 'pending', count(*) FROM :buckets CROSS JOIN resthooks.queue q
 WHERE :of_tenant AND q.delivery_id >= b.low AND q.delivery_id < b.high GROUP BY b.n;

-- name: stats_states_subscription
-- returns: as stats_states
SELECT b.n, d.state, count(*) FROM :buckets CROSS JOIN resthooks.delivery d
 WHERE d.tenant = :tenant AND d.subscription_id = :subscription_id::uuid
 AND d.id >= b.low AND d.id < b.high AND d.state <> 'pending' GROUP BY b.n, d.state
 UNION ALL SELECT b.n, 'pending', count(*) FROM :buckets CROSS JOIN resthooks.queue q
 WHERE :of_tenant AND q.subscription_id IS NOT DISTINCT FROM :subscription_id::uuid
 AND q.delivery_id >= b.low AND q.delivery_id < b.high GROUP BY b.n;

-- fragment: two_digits
-- Rounds a duration to two digits, so there are at most some hundred values.
CASE WHEN a.ms < 100 THEN a.ms WHEN a.ms < 1000 THEN a.ms / 10 * 10
 WHEN a.ms < 10000 THEN a.ms / 100 * 100 ELSE a.ms / 1000 * 1000 END;

-- fragment: attempt_rows
-- An attempt is in a row of its own, or in its delivery's, and then as old as that.
SELECT b.n, :two_digits AS rounded FROM :buckets CROSS JOIN resthooks.attempt a
 WHERE a.tenant = :tenant AND a.id >= b.low AND a.id < b.high;

-- fragment: only_attempt_rows
SELECT b.n, :two_digits AS rounded FROM :buckets CROSS JOIN resthooks.delivery a
 WHERE a.tenant = :tenant AND a.id >= b.low AND a.id < b.high AND a.attempt_id IS NOT NULL;

-- name: stats_durations
-- Counts attempts by their duration, milliseconds of two digits, in order.
-- returns: n, rounded, count
SELECT r.n, r.rounded, count(*) AS count FROM (:attempt_rows UNION ALL :only_attempt_rows) AS r
 GROUP BY r.n, r.rounded ORDER BY r.n, r.rounded;

-- name: stats_durations_subscription
-- Of one subscription's deliveries in a range of ids. They are collected first: looking up each
-- attempt's delivery takes longer.
-- returns: as stats_durations
WITH mine AS MATERIALIZED (SELECT d.id FROM resthooks.delivery d WHERE d.tenant = :tenant
 AND d.subscription_id = :subscription_id::uuid AND d.id >= :lowest::uuid AND d.id < :end::uuid
 UNION ALL SELECT q.delivery_id FROM resthooks.queue q WHERE :of_tenant
 AND q.subscription_id IS NOT DISTINCT FROM :subscription_id::uuid
 AND q.delivery_id >= :lowest::uuid AND q.delivery_id < :end::uuid)
 SELECT r.n, r.rounded, count(*) AS count FROM (:attempt_rows
 AND a.delivery_id IN (SELECT id FROM mine) UNION ALL :only_attempt_rows
 AND a.subscription_id = :subscription_id::uuid) AS r
 GROUP BY r.n, r.rounded ORDER BY r.n, r.rounded;

-- name: stats_subscriptions
-- Counts the deliveries of buckets by subscription, in order; those that are pending count as
-- neither.
-- returns: subscription_id, n, delivered, failed
SELECT r.subscription_id, r.n, sum(CASE r.state WHEN 'delivered' THEN 1 ELSE 0 END) AS delivered,
 sum(CASE r.state WHEN 'failed' THEN 1 ELSE 0 END) AS failed
 FROM (SELECT d.subscription_id, b.n, d.state FROM :buckets CROSS JOIN resthooks.delivery d
 WHERE d.tenant = :tenant AND d.id >= b.low AND d.id < b.high
 UNION ALL SELECT q.subscription_id, b.n, 'pending' FROM :buckets CROSS JOIN resthooks.queue q
 WHERE :of_tenant AND q.delivery_id >= b.low AND q.delivery_id < b.high) AS r
 GROUP BY r.subscription_id, r.n ORDER BY r.subscription_id, r.n LIMIT CAST(:limit AS integer);
