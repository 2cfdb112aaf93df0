-- Licensed under the Apache License, Version 2.0: see LICENSE.
-- Find due deliveries and lease them.

-- fragment: its_turn
-- What decides when a subscription has its turn.
s.state, CASE WHEN s.in_order THEN 1 ELSE 0 END AS ordered, s.rate_limit,
  greatest(t.paused_until - clock.at, 0) AS pause,
  CASE WHEN t.failing_since IS NULL THEN 0 ELSE 1 END AS failing;

-- name: claim_due
-- Counts the deliveries that have been due longest, by subscription; usually these are all due
-- deliveries. A last row without a tenant means that there are events to expand.
-- returns: tenant, id, count, state, ordered, rate_limit, pause, failing
WITH clock AS MATERIALIZED (SELECT resthooks.now_ms() AS at),
 due AS MATERIALIZED (SELECT q.tenant, q.subscription_id, q.due_at FROM resthooks.queue q
  WHERE q.due_at <= (SELECT at FROM clock) AND q.lease >= -1
  ORDER BY q.due_at LIMIT :RH_CLAIM_LOOK),
 one AS MATERIALIZED (SELECT due.tenant, due.subscription_id, count(*) AS count,
  min(due.due_at) AS since FROM due GROUP BY due.tenant, due.subscription_id)
 (SELECT d.tenant, d.subscription_id AS id, d.count, :its_turn FROM clock
  CROSS JOIN one AS d :its_subscription :its_stat ORDER BY d.since)
  UNION ALL SELECT NULL, NULL, 0, NULL, 0, 0, 0, 0 WHERE EXISTS (SELECT 1
  FROM resthooks.expansion);

-- name: claim_candidates
-- If more deliveries are due, subscriptions are found by walking the index from one to the next, so
-- a backlog costs no more than a single delivery. A lateral query reads the next subscription. The
-- comparison of subscription_id is always true; PostgreSQL needs it to see that the partial index
-- by subscription contains all rows. Due deliveries are counted up to the number that one claim may
-- take from one subscription.
-- returns: as claim_due
WITH RECURSIVE clock AS MATERIALIZED (SELECT resthooks.now_ms() AS at),
 step(tenant, subscription_id, n) AS ((SELECT q.tenant, q.subscription_id, 1 FROM resthooks.queue q
  WHERE (q.tenant, q.subscription_id) > (:tenant, :after::uuid)
  AND q.subscription_id >= '00000000-0000-0000-0000-000000000000'
  ORDER BY q.tenant, q.subscription_id LIMIT 1)
  UNION ALL SELECT x.tenant, x.subscription_id, step.n + 1 FROM step
  CROSS JOIN LATERAL (SELECT q.tenant, q.subscription_id FROM resthooks.queue q
  WHERE (q.tenant, q.subscription_id) > (step.tenant, step.subscription_id)
  AND q.subscription_id >= '00000000-0000-0000-0000-000000000000'
  ORDER BY q.tenant, q.subscription_id LIMIT 1) AS x WHERE step.n < :steps::integer)
 SELECT d.tenant, d.subscription_id AS id, (SELECT count(*) FROM (SELECT 1
  FROM resthooks.queue q WHERE q.tenant = d.tenant AND q.subscription_id = d.subscription_id
  AND q.due_at <= clock.at LIMIT :limit::integer) AS few) AS count, :its_turn FROM clock
  CROSS JOIN step AS d :its_subscription :its_stat ORDER BY d.n;

-- fragment: shares
-- All hosts share one row with the time of the next delivery of a rate-limited subscription. The
-- claim that locks this row may deliver next; the other claims skip the subscription.
clock AS MATERIALIZED (SELECT resthooks.now_ms() AS at), candidate AS MATERIALIZED (SELECT *
 FROM json_to_recordset(:candidates::json) AS c(tenant text, id uuid, most integer,
 pace bigint)), share AS MATERIALIZED (SELECT t.tenant, t.subscription_id, c.pace
 FROM clock, candidate c CROSS JOIN LATERAL (SELECT x.tenant, x.subscription_id
 FROM resthooks.subscription_stat x WHERE x.tenant = c.tenant AND x.subscription_id = c.id
 AND x.paused_until <= clock.at FOR UPDATE SKIP LOCKED) AS t WHERE c.pace > 0),
 pace AS (UPDATE resthooks.subscription_stat t SET paused_until = clock.at + p.pace
 FROM share p, clock WHERE t.tenant = ANY (ARRAY[p.tenant])
 AND t.subscription_id = ANY (ARRAY[p.subscription_id]));

-- fragment: has_share
c.pace = 0 OR EXISTS (SELECT 1 FROM share p WHERE p.tenant = c.tenant
 AND p.subscription_id = c.id);

-- name: claim
-- Leases due deliveries of the candidates; with `spare`, only those without an expired lease. The
-- tenant is compared in a form that no index supports, so that rows are looked up by their key, one
-- by one.
-- returns: tenant, delivery_id, late
WITH :shares, due AS MATERIALIZED (SELECT q.tenant, q.delivery_id, q.due_at
 FROM clock, candidate c CROSS JOIN LATERAL (SELECT x.tenant, x.delivery_id, x.due_at
 FROM resthooks.queue x WHERE x.tenant = c.tenant AND x.subscription_id = c.id
 AND x.due_at <= clock.at AND (:spare::integer = 0 OR x.lease <= 0)
 ORDER BY x.due_at LIMIT c.most FOR UPDATE SKIP LOCKED) AS q WHERE :has_share)
 UPDATE resthooks.queue q SET lease = :lease::bigint, due_at = clock.at + :lease_for::bigint
  FROM due d, clock WHERE q.delivery_id = ANY (ARRAY[d.delivery_id])
  AND q.tenant IS NOT DISTINCT FROM d.tenant RETURNING q.tenant, q.delivery_id,
  clock.at - d.due_at AS late;

-- name: claim_ordered
-- Does the same for ordered subscriptions. The subquery reads the queue's row as it was before the
-- function changed it.
-- returns: as claim
WITH :shares SELECT c.tenant, o.delivery_id, resthooks.now_ms() - (SELECT q.due_at
 FROM resthooks.queue q WHERE q.tenant = c.tenant AND q.delivery_id = o.delivery_id) AS late
 FROM (SELECT c.* FROM candidate c WHERE :has_share OFFSET 0) AS c
 CROSS JOIN LATERAL resthooks.claim_ordered(c.tenant, c.id, :spare::integer <> 0,
 :lease::bigint, :lease_for::bigint, c.most) AS o;

-- name: claim_jobs
-- Reads all that the jobs of leased deliveries need. The query makes PostgreSQL look the rows up by
-- their key, one by one: without statistics of the queue (in a new database, or after a crash) it
-- would read all rows of a subscription.
-- returns: delivery_id, tenant, subscription_id, event_id, tries, attempt_count, target_url,
--   options, secret, old_secret, base_url, format, ordered, rate_limit, failing_for, type, key,
--   traceparent, time, data, previous, hops
SELECT d.delivery_id, d.tenant, d.subscription_id, d.event_id, d.tries, d.attempt_count,
 s.target_url, s.options, s.secret, CASE WHEN s.old_secret_until > resthooks.now_ms() THEN
 s.old_secret END AS old_secret, s.base_url, s.format,
 CASE WHEN s.in_order THEN 1 ELSE 0 END AS ordered, s.rate_limit,
 CASE WHEN t.failing_since IS NULL THEN 0 ELSE greatest(resthooks.now_ms() - t.failing_since,
 1) END AS failing_for, e.type, e.key, e.traceparent, e.time, e.data, e.previous, e.hops
 FROM (SELECT x.* FROM json_to_recordset(:leased::json) AS i(tenant text, id uuid)
 CROSS JOIN LATERAL (SELECT * FROM resthooks.queue y WHERE y.tenant = i.tenant
 AND y.delivery_id = i.id LIMIT 1) AS x OFFSET 0) AS d
 :its_subscription :its_stat :its_event WHERE s.id IS NOT NULL
 AND d.lease = CAST(:lease AS bigint) ORDER BY d.event_id, d.delivery_id;
