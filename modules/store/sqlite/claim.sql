-- Licensed under the Apache License, Version 2.0: see LICENSE.
-- Find due deliveries and lease them.

-- fragment: its_turn
-- What decides when a subscription has its turn.
s.state, s.in_order AS ordered, s.rate_limit,
 max(t.paused_until - CAST(:now AS integer), 0) AS pause,
 t.failing_since IS NOT NULL AS failing;

-- name: claim_due
-- Counts the deliveries that have been due longest, by subscription; usually these are all due
-- deliveries. Subscriptions are looked up by key, one by one, even while the tables have no
-- statistics. A last row without a tenant means that there are events to expand.
-- returns: tenant, id, count, state, ordered, rate_limit, pause, failing
SELECT * FROM (SELECT one.tenant, one.id, one.count, :its_turn FROM (SELECT due.tenant,
 due.subscription_id AS id, count(*) AS count, min(due.due_at) AS since FROM (SELECT q.tenant, q.subscription_id,
 q.due_at FROM resthooks_queue q WHERE q.due_at <= CAST(:now AS integer)
 ORDER BY q.due_at LIMIT :RH_CLAIM_LOOK) AS due
 GROUP BY due.tenant, due.subscription_id) AS one
 LEFT JOIN resthooks_subscription s ON s.tenant = one.tenant AND s.id = one.id
 LEFT JOIN resthooks_subscription_stat t ON t.tenant = one.tenant
 AND t.subscription_id = one.id ORDER BY one.since)
 UNION ALL SELECT NULL, NULL, 0, NULL, 0, 0, 0, 0 WHERE EXISTS (SELECT 1
 FROM resthooks_expansion);

-- name: claim_candidates
-- If more deliveries are due, subscriptions are found by walking the index from one to the next, so
-- a backlog costs no more than a single delivery. A scalar query reads the next subscription. Its +
-- lets SQLite use both columns of the index: without it, only the first one would be compared. Due
-- deliveries are counted up to the number that one claim may take from one subscription.
-- returns: as claim_due
WITH RECURSIVE step(tenant, id, n) AS (SELECT * FROM (SELECT q.tenant, q.subscription_id, 1
 FROM resthooks_queue q WHERE (q.tenant, q.subscription_id) > (:tenant, :after)
 ORDER BY q.tenant, q.subscription_id LIMIT 1)
 UNION ALL SELECT q.tenant, q.subscription_id, step.n + 1 FROM step
 JOIN resthooks_queue q ON (q.tenant, q.delivery_id) = (SELECT x.tenant, x.delivery_id
 FROM resthooks_queue x WHERE (x.tenant, x.subscription_id) > (+step.tenant, +step.id)
 ORDER BY x.tenant, x.subscription_id LIMIT 1) WHERE step.n < CAST(:steps AS integer))
 SELECT step.tenant, step.id, (SELECT count(*) FROM (SELECT 1 FROM resthooks_queue q
  WHERE q.tenant = step.tenant AND q.subscription_id = step.id
  AND q.due_at <= CAST(:now AS integer) LIMIT CAST(:limit AS integer))) AS count, :its_turn FROM step
  LEFT JOIN resthooks_subscription s ON s.tenant = step.tenant AND s.id = step.id
  LEFT JOIN resthooks_subscription_stat t ON t.tenant = step.tenant
  AND t.subscription_id = step.id ORDER BY step.n;

-- fragment: lease_one
-- Leases due deliveries of one subscription; with `spare`, only those without an expired lease.
UPDATE resthooks_queue SET lease = CAST(:lease AS integer),
 due_at = CAST(:leased_until AS integer) WHERE (tenant, delivery_id) IN (SELECT q.tenant,
 q.delivery_id FROM resthooks_queue q WHERE q.tenant = :tenant
 AND q.subscription_id = :subscription_id AND q.due_at <= CAST(:now AS integer)
 AND (CAST(:spare AS integer) = 0 OR q.lease <= 0);

-- fragment: blocked
-- True if another delivery of the key comes first or is leased. The index is named because SQLite
-- would otherwise read all parked deliveries to find a leased one.
(EXISTS (SELECT 1 FROM resthooks_queue f WHERE f.tenant = q.tenant
 AND f.subscription_id = q.subscription_id AND f.order_key = q.order_key
 AND (f.event_id, f.delivery_id) < (q.event_id, q.delivery_id)) OR EXISTS (SELECT 1
 FROM resthooks_queue w INDEXED BY resthooks_queue_order_leased WHERE w.tenant = q.tenant
 AND w.subscription_id = q.subscription_id AND w.order_key = q.order_key AND w.lease > 0
 AND w.delivery_id <> q.delivery_id AND w.due_at > CAST(:now AS integer)));

-- name: claim_late
-- Reads how long the deliveries of one subscription have been due. It runs before the lease because
-- RETURNING sees only the new values of a row.
-- returns: delivery_id, late
SELECT q.delivery_id, CAST(:now AS integer) - q.due_at AS late FROM resthooks_queue q
 WHERE q.tenant = :tenant AND q.subscription_id = :subscription_id
 AND q.due_at <= CAST(:now AS integer) ORDER BY q.due_at LIMIT CAST(:limit AS integer);

-- name: claim_one
-- returns: tenant, delivery_id
:lease_one ORDER BY q.due_at LIMIT CAST(:limit AS integer)) RETURNING tenant, delivery_id;

-- name: claim_one_ordered
-- Leases the first delivery of each key of an ordered subscription, unless the expansion of an
-- earlier event has not reached this subscription yet.
-- returns: as claim_one
:lease_one AND (q.order_key IS NULL OR NOT (:blocked OR EXISTS (SELECT 1
 FROM resthooks_expansion x WHERE x.tenant = q.tenant AND x.event_id < q.event_id
 AND x.after_id < q.subscription_id AND x.until_id >= q.subscription_id)))
 ORDER BY q.due_at LIMIT CAST(:limit AS integer)) RETURNING tenant, delivery_id;

-- name: claim_pace
UPDATE resthooks_subscription_stat SET paused_until = CAST(:until AS integer)
 WHERE tenant = :tenant AND subscription_id = :subscription_id;

-- name: claim_park
-- Parks due deliveries that have to wait for another one of the same key.
UPDATE resthooks_queue SET lease = -1, due_at = CAST(:parked_until AS integer)
 WHERE (tenant, delivery_id) IN (SELECT q.tenant, q.delivery_id FROM (SELECT *
 FROM resthooks_queue d WHERE d.tenant = :tenant AND d.subscription_id = :subscription_id
 AND d.due_at <= CAST(:now AS integer) ORDER BY d.due_at LIMIT CAST(:looked_at AS integer)) AS q
 WHERE q.order_key IS NOT NULL AND :blocked);

-- name: claim_unpark
-- Wakes a parked delivery that precedes one just parked, if no delivery of the key is leased.
UPDATE resthooks_queue SET lease = 0, due_at = CAST(:now AS integer) WHERE lease = -1
 AND (tenant, delivery_id) IN (SELECT p.tenant, (SELECT f.delivery_id FROM resthooks_queue f
 WHERE f.tenant = p.tenant AND f.subscription_id = p.subscription_id
 AND f.order_key = p.order_key ORDER BY f.event_id, f.delivery_id LIMIT 1)
 FROM resthooks_queue p INDEXED BY resthooks_queue_due WHERE p.tenant = :tenant
 AND p.subscription_id = :subscription_id AND p.due_at = CAST(:parked_until AS integer)
 AND p.lease = -1 AND p.order_key IS NOT NULL AND NOT EXISTS (SELECT 1
 FROM resthooks_queue w INDEXED BY resthooks_queue_order_leased WHERE w.tenant = p.tenant
 AND w.subscription_id = p.subscription_id AND w.order_key = p.order_key AND w.lease > 0
 AND w.due_at > CAST(:now AS integer)));

-- name: claim_jobs
-- Reads all that the jobs of leased deliveries need.
-- returns: delivery_id, tenant, subscription_id, event_id, tries, attempt_count, target_url,
--   options, secret, old_secret, base_url, format, ordered, rate_limit, failing_for, type, key,
--   traceparent, time, data, previous, hops
SELECT q.delivery_id, q.tenant, q.subscription_id, q.event_id, q.tries, q.attempt_count,
 s.target_url, s.options, s.secret, CASE WHEN s.old_secret_until > :clock THEN s.old_secret END
 AS old_secret, s.base_url, s.format, CASE WHEN s.in_order THEN 1 ELSE 0 END AS ordered,
 s.rate_limit, CASE WHEN t.failing_since IS NULL THEN 0 ELSE max(:clock - t.failing_since,
 1) END AS failing_for, e.type, e.key, e.traceparent, e.time, e.data, e.previous, e.hops
 FROM (SELECT value ->> 'tenant' AS tenant, value ->> 'id' AS id
 FROM json_each(:leased)) AS i JOIN resthooks_queue q ON q.tenant = i.tenant
 AND q.delivery_id = i.id JOIN resthooks_subscription s ON s.tenant = q.tenant
 AND s.id = q.subscription_id LEFT JOIN resthooks_subscription_stat t ON t.tenant = s.tenant
 AND t.subscription_id = s.id LEFT JOIN resthooks_event e ON e.tenant = q.tenant
 AND e.id = q.event_id WHERE q.lease = CAST(:lease AS bigint) ORDER BY q.event_id, q.delivery_id;
