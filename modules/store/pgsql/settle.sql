-- Licensed under the Apache License, Version 2.0: see LICENSE.
-- What came of attempts; and leases that end without one.

-- name: settle
-- Outcomes of attempts. The rows of subscription_stat are locked first, in order; then:
--
--   logged    inserts the attempts; one that is logged already (repeated after a lost connection)
--             is not counted again
--   removed   takes delivered ones out of the queue, with or without the lease, and those that
--             ended otherwise only with the lease
--   again     makes the others due later, or at once if a person asked for that during the
--             attempt (tries below 0)
--   wake      wakes the next of a key whose first was removed, or an older one that was sent again
--             during the attempt; the final SELECT reads it, so that it runs
--
-- Rows are looked up by their key, one by one. Until a table has statistics, a join would read all
-- of it; one by `= ANY (ARRAY[…])` can't be done by hashing or merging. The statistics of the
-- queue may date from when it was empty; then an index on the tenant alone would look equally good,
-- so the comparison of tenants is one that is of no use to any index.
-- returns: tenant, id, state
WITH clock AS MATERIALIZED (SELECT resthooks.now_ms() AS at),
 o AS MATERIALIZED (SELECT * FROM json_to_recordset(:outcomes::json) AS o(kind text, tenant text,
  id uuid, subscription_id uuid, lease bigint, delay bigint, pause bigint, reason text,
  attempt_id uuid, number integer, started_at bigint, ms bigint, status_code integer,
  format text, headers text, answer text, error text, sent text)),
 locked AS MATERIALIZED (SELECT l.tenant, l.subscription_id FROM
  (SELECT DISTINCT o.tenant COLLATE "C" AS tenant, o.subscription_id FROM o
  WHERE o.kind <> 'release' OR o.pause > 0 ORDER BY 1, 2) AS k
  CROSS JOIN LATERAL (SELECT t.tenant, t.subscription_id FROM resthooks.subscription_stat t
  WHERE t.tenant = k.tenant AND t.subscription_id = k.subscription_id FOR UPDATE) AS l),
 ready AS MATERIALIZED (SELECT count(*) AS subscriptions FROM locked),
 logged AS (INSERT INTO resthooks.attempt
  (tenant, id, delivery_id, number, started_at, ms, status_code, format, headers, answer,
  error, sent)
  SELECT o.tenant, o.attempt_id, o.id, o.number, o.started_at, o.ms, o.status_code, o.format,
  o.headers, o.answer, o.error, o.sent FROM ready, o WHERE o.kind <> 'release'
  ON CONFLICT DO NOTHING RETURNING id),
 fresh AS MATERIALIZED (SELECT o.* FROM o JOIN logged l ON l.id = o.attempt_id
  UNION ALL SELECT o.* FROM ready, o WHERE o.kind = 'release'),
 stat AS (UPDATE resthooks.subscription_stat t SET delivered = t.delivered + s.delivered,
  failed = t.failed + s.failed,
  last_status_code = CASE WHEN s.last_at IS NULL THEN t.last_status_code ELSE s.code END,
  last_attempt_at = greatest(t.last_attempt_at, s.last_at),
  failing_since = CASE WHEN s.delivered > 0 THEN NULL
  WHEN s.last_at IS NULL THEN t.failing_since ELSE coalesce(t.failing_since, clock.at) END,
  paused_until = CASE WHEN s.pause > 0 THEN greatest(t.paused_until, clock.at + s.pause)
  ELSE t.paused_until END
  FROM clock, (SELECT f.tenant, f.subscription_id,
  count(*) FILTER (WHERE f.kind = 'delivered') AS delivered,
  count(*) FILTER (WHERE f.kind IN ('failed', 'gone', 'disabled')) AS failed,
  max(f.started_at) FILTER (WHERE f.kind <> 'release') AS last_at,
  (array_agg(f.status_code ORDER BY f.started_at DESC)
  FILTER (WHERE f.kind <> 'release'))[1] AS code, max(f.pause) AS pause
  FROM fresh f GROUP BY f.tenant, f.subscription_id) AS s
  WHERE t.tenant = ANY (ARRAY[s.tenant]) AND t.subscription_id = ANY (ARRAY[s.subscription_id])
  AND (s.last_at IS NOT NULL OR s.pause > 0)),
 removed AS (DELETE FROM resthooks.queue q USING ready, o
  WHERE q.delivery_id = ANY (ARRAY[o.id]) AND q.tenant IS NOT DISTINCT FROM o.tenant
  AND (o.kind = 'delivered'
  OR (o.kind IN ('gone', 'disabled') AND q.lease = o.lease)
  OR (o.kind = 'failed' AND q.lease = o.lease AND q.tries >= 0))
  RETURNING q.tenant, q.subscription_id, q.order_key, q.delivery_id),
 again AS (UPDATE resthooks.queue q SET lease = 0, due_at = clock.at
  + CASE WHEN o.kind = 'release' OR q.tries >= 0 THEN o.delay ELSE 0 END,
  tries = q.tries + CASE o.kind WHEN 'release' THEN 0 ELSE 1 END,
  attempt_count = q.attempt_count + CASE o.kind WHEN 'release' THEN 0 ELSE 1 END,
  last_status_code = CASE o.kind WHEN 'release' THEN q.last_status_code ELSE o.status_code END
  FROM clock, ready, o
  WHERE q.delivery_id = ANY (ARRAY[o.id]) AND q.tenant IS NOT DISTINCT FROM o.tenant
  AND (o.kind IN ('retry', 'release') OR (o.kind = 'failed' AND q.tries < 0))
  AND q.lease = o.lease RETURNING q.tenant, q.subscription_id, q.order_key),
 wake AS MATERIALIZED (SELECT sum(resthooks.wake_ordered(k.tenant, k.subscription_id,
  k.order_key)) AS keys FROM (SELECT r.tenant, r.subscription_id, r.order_key
  FROM removed r WHERE r.order_key IS NOT NULL
  UNION SELECT a.tenant, a.subscription_id, a.order_key
  FROM again a WHERE a.order_key IS NOT NULL) AS k),
 done AS (UPDATE resthooks.delivery d SET state = CASE WHEN o.kind = 'delivered'
  THEN 'delivered' WHEN o.id IN (SELECT r.delivery_id FROM removed r) THEN 'failed'
  ELSE d.state END,
  attempt_count = greatest(d.attempt_count, o.number), last_status_code = o.status_code
  FROM o WHERE o.kind <> 'release'
  AND d.tenant = ANY (ARRAY[o.tenant]) AND d.id = ANY (ARRAY[o.id])),
 ended AS (UPDATE resthooks.hook s SET state = e.kind, state_reason = e.reason,
  updated_at = clock.at, revision = s.revision + 1
  FROM clock, (SELECT DISTINCT ON (o.tenant, o.subscription_id) o.tenant, o.subscription_id,
  o.kind, o.reason FROM ready, o WHERE o.kind IN ('gone', 'disabled')
  ORDER BY o.tenant, o.subscription_id, o.kind DESC) AS e
  WHERE s.tenant = e.tenant AND s.id = e.subscription_id AND s.state = 'active'
  RETURNING s.tenant, s.id, s.state)
 SELECT e.tenant, e.id, e.state FROM ended e
 UNION ALL SELECT NULL, NULL, NULL FROM wake WHERE wake.keys < 0;

-- name: cancel
-- Takes a limited number of deliveries of a subscription out of the queue and cancels them.
WITH waiting AS MATERIALIZED (SELECT q.tenant, q.delivery_id FROM resthooks.queue q
 WHERE q.tenant = :tenant AND q.subscription_id = :subscription_id::uuid
 ORDER BY q.due_at LIMIT :limit::integer FOR UPDATE SKIP LOCKED),
 removed AS (DELETE FROM resthooks.queue q USING waiting w WHERE q.tenant = w.tenant
 AND q.delivery_id = w.delivery_id RETURNING q.tenant, q.delivery_id)
 UPDATE resthooks.delivery d SET state = 'cancelled' FROM removed r
 WHERE d.tenant = r.tenant AND d.id = r.delivery_id AND d.state = 'pending';

-- name: release
-- Gives all leases of a process back, so that their deliveries are due now.
UPDATE resthooks.queue SET lease = 0, due_at = resthooks.now_ms() WHERE lease = :lease::bigint;
