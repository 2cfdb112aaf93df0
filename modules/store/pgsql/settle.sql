-- Licensed under the Apache License, Version 2.0: see LICENSE.
-- Record the outcomes of attempts, and give leases back.

-- fragment: stat_change
INSERT INTO resthooks.stat_change (tenant, subscription_id, hour, delivered, failed, cancelled,
 attempts, ms);

-- fragment: state_counts
-- The changes of the delivered, failed and cancelled counts when c.state replaces c.earlier_state.
(c.state = 'delivered')::integer - (c.earlier_state = 'delivered')::integer,
 (c.state = 'failed')::integer - (c.earlier_state = 'failed')::integer,
 (c.state = 'cancelled')::integer - (c.earlier_state = 'cancelled')::integer;

-- name: settle
-- Settles the outcomes of attempts. It locks the rows of subscription_stat first, in order. Its
-- parts:
--
--   removed   takes deliveries out of the queue: delivered ones with or without the lease, unless
--             they were sent again after this outcome had been stored; those that ended otherwise
--             only with the lease
--   again     makes the others due later, or at once if a person asked for it during the attempt
--             (tries below 0)
--   ended     lists the deliveries that ended, each once
--   appended  logs them, unless they are logged already; a delivery that its first attempt
--             delivered includes that attempt
--   changed   updates deliveries that are in the log already: sent again, replayed, cancelled
--             during the attempt, or settled by another host as well. It returns the earlier state
--             and whether the row has this attempt. Deliveries that are not in the log are leased by
--             another host
--   tried     inserts the attempts that are not part of a delivery's row
--   fresh     lists the outcomes whose attempt was recorded by this statement: only these are counted
--   counted   appends the changes for the statistics: new attempts, and states that changed in the
--             log
--   wake      wakes the next delivery of a key whose first was removed, or an older one that was
--             sent again during the attempt; the final SELECT reads it, so that it runs
--
-- Rows are looked up by their key, one by one. Until a table has statistics, a join would read all
-- of it; `= ANY (ARRAY[…])` rules out hash and merge joins. The statistics of the queue may date
-- from when it was empty; then any index on the tenant would look equally good, so tenants are
-- compared in a form that no index supports. The log is searched only for deliveries that it
-- contains, because a search locks every partition.
-- returns: tenant, id, state
WITH clock AS MATERIALIZED (SELECT resthooks.now_ms() AS at),
 o AS MATERIALIZED (SELECT * FROM json_to_recordset(:outcomes::json) AS o(kind text, tenant text,
  id uuid, event_id uuid, subscription_id uuid, type text, lease bigint, delay bigint,
  pause bigint, reason text, attempt_id uuid, number integer, started_at bigint, ms bigint,
  status_code integer, format text, headers text, answer text, error text, template uuid,
  sent text)),
 locked AS MATERIALIZED (SELECT l.tenant, l.subscription_id FROM
  (SELECT DISTINCT o.tenant COLLATE "C" AS tenant, o.subscription_id FROM o
  WHERE o.kind <> 'release' OR o.pause > 0 ORDER BY 1, 2) AS k
  CROSS JOIN LATERAL (SELECT t.tenant, t.subscription_id FROM resthooks.subscription_stat t
  WHERE t.tenant = k.tenant AND t.subscription_id = k.subscription_id FOR UPDATE) AS l),
 ready AS MATERIALIZED (SELECT count(*) AS subscriptions FROM locked),
 removed AS (DELETE FROM resthooks.queue q USING ready, o
  WHERE q.delivery_id = ANY (ARRAY[o.id]) AND q.tenant IS NOT DISTINCT FROM o.tenant
  AND ((o.kind = 'delivered'
  AND (q.lease = o.lease OR NOT resthooks.has_attempt(o.tenant, o.attempt_id)))
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
  AND q.lease = o.lease RETURNING q.tenant, q.subscription_id, q.order_key, q.delivery_id),
 ended AS MATERIALIZED (SELECT DISTINCT ON (o.tenant COLLATE "C", o.id) o.*,
  CASE o.kind WHEN 'delivered' THEN 'delivered' ELSE 'failed' END AS state FROM ready, o
  WHERE o.kind = 'delivered' OR (o.kind IN ('failed', 'gone', 'disabled')
  AND o.id IN (SELECT r.delivery_id FROM removed r))
  ORDER BY o.tenant COLLATE "C", o.id, o.kind, o.number DESC, o.attempt_id),
 appended AS (INSERT INTO resthooks.delivery (tenant, id, event_id, subscription_id, type, state,
  attempt_count, last_status_code, attempt_id, started_at, ms, format, headers, answer, error,
  template, sent) SELECT e.tenant, e.id, e.event_id, e.subscription_id, e.type, e.state, e.number,
  e.status_code, f.attempt_id, f.started_at, f.ms, f.format, f.headers, f.answer, f.error,
  f.template, f.sent
  FROM ended e LEFT JOIN LATERAL (SELECT e.*) AS f ON e.kind = 'delivered' AND e.number = 1
  WHERE e.type IS NOT NULL
  ON CONFLICT DO NOTHING RETURNING tenant, id, subscription_id, state, attempt_id, ms),
 changed AS MATERIALIZED (SELECT o.tenant, o.id, o.subscription_id, o.attempt_id, e.state,
  l.earlier_state, l.has_attempt FROM o LEFT JOIN ended e ON e.attempt_id = o.attempt_id
  CROSS JOIN LATERAL resthooks.settle_logged(o.tenant, o.id, o.attempt_id, o.number,
  o.status_code, e.state) AS l WHERE o.kind <> 'release'
  AND o.id NOT IN (SELECT a.id FROM appended a)
  AND o.id NOT IN (SELECT g.delivery_id FROM again g)),
 tried AS (INSERT INTO resthooks.attempt
  (tenant, id, delivery_id, number, started_at, ms, status_code, format, headers, answer,
  error, template, sent)
  SELECT o.tenant, o.attempt_id, o.id, o.number, o.started_at, o.ms, o.status_code, o.format,
  o.headers, o.answer, o.error, o.template, o.sent FROM ready, o WHERE o.kind <> 'release'
  AND o.attempt_id NOT IN (SELECT a.attempt_id FROM appended a WHERE a.attempt_id IS NOT NULL)
  AND o.attempt_id NOT IN (SELECT c.attempt_id FROM changed c WHERE c.has_attempt)
  ON CONFLICT DO NOTHING RETURNING id),
 fresh AS MATERIALIZED (SELECT o.* FROM o JOIN (SELECT t.id FROM tried t
  UNION ALL SELECT a.attempt_id FROM appended a) AS r ON r.id = o.attempt_id
  UNION ALL SELECT o.* FROM ready, o WHERE o.kind = 'release'),
 counted AS (:stat_change
  SELECT a.tenant, a.subscription_id, a.at / 3600000 * 3600000, sum(a.delivered), sum(a.failed),
  sum(a.cancelled), sum(a.attempts), :two_digits FROM (
  SELECT f.tenant, f.subscription_id, resthooks.uuid_ms(f.attempt_id) AS at, 0 AS delivered,
  0 AS failed, 0 AS cancelled, 1 AS attempts, f.ms FROM fresh f WHERE f.kind <> 'release'
  UNION ALL SELECT c.tenant, c.subscription_id, resthooks.uuid_ms(c.id), :state_counts, 0,
  coalesce(c.ms, 0) FROM (SELECT p.tenant, p.subscription_id, p.id, p.ms, p.state,
  'pending' AS earlier_state FROM appended p UNION ALL SELECT h.tenant, h.subscription_id, h.id, 0,
  h.state, h.earlier_state FROM changed h WHERE h.state <> h.earlier_state) AS c) AS a
  GROUP BY a.tenant, a.subscription_id, 3, 8),
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
 wake AS MATERIALIZED (SELECT sum(resthooks.wake_ordered(k.tenant, k.subscription_id,
  k.order_key)) AS keys FROM (SELECT r.tenant, r.subscription_id, r.order_key
  FROM removed r WHERE r.order_key IS NOT NULL
  UNION SELECT a.tenant, a.subscription_id, a.order_key
  FROM again a WHERE a.order_key IS NOT NULL) AS k),
 stopped AS (UPDATE resthooks.hook s SET state = e.kind, state_reason = e.reason,
  updated_at = clock.at, revision = s.revision + 1
  FROM clock, (SELECT DISTINCT ON (o.tenant, o.subscription_id) o.tenant, o.subscription_id,
  o.kind, o.reason FROM ready, o WHERE o.kind IN ('gone', 'disabled')
  ORDER BY o.tenant, o.subscription_id, o.kind DESC) AS e
  WHERE s.tenant = ANY (ARRAY[e.tenant]) AND s.id = ANY (ARRAY[e.subscription_id])
  AND s.state = 'active'
  RETURNING s.tenant, s.id, s.state)
 SELECT s.tenant, s.id, s.state FROM stopped s
 UNION ALL SELECT NULL, NULL, NULL FROM wake WHERE wake.keys < 0;

-- name: cancel
-- Takes a limited number of deliveries of a subscription out of the queue and logs them as
-- cancelled; those that were sent again are in the log already. A delivery whose event is past
-- retention is not logged. Events are read in the order of their primary key, which only that index
-- has: while a partition has no statistics, any index that contains the tenant would look equally
-- good.
-- returns: cancelled
WITH waiting AS MATERIALIZED (SELECT q.tenant, q.delivery_id FROM resthooks.queue q
 WHERE q.tenant = :tenant AND q.subscription_id = :subscription_id::uuid
 ORDER BY q.due_at LIMIT :limit::integer FOR UPDATE SKIP LOCKED),
 removed AS (DELETE FROM resthooks.queue q USING waiting w
 WHERE q.delivery_id = ANY (ARRAY[w.delivery_id]) AND q.tenant IS NOT DISTINCT FROM w.tenant
 RETURNING q.tenant, q.delivery_id, q.event_id,
 q.subscription_id, q.attempt_count, q.last_status_code),
 typed AS MATERIALIZED (SELECT r.*, e.type FROM removed r LEFT JOIN LATERAL (SELECT x.type
 FROM resthooks.event x WHERE x.tenant = r.tenant AND x.id >= r.event_id AND x.id <= r.event_id
 ORDER BY x.id LIMIT 1) AS e ON true),
 cancelled AS (INSERT INTO resthooks.delivery AS d (tenant, id, event_id, subscription_id, type,
 state, attempt_count, last_status_code) SELECT r.tenant, r.delivery_id, r.event_id,
 r.subscription_id, r.type, 'cancelled', r.attempt_count, r.last_status_code FROM typed r
 WHERE r.type IS NOT NULL ON CONFLICT (tenant, id) DO UPDATE SET state = 'cancelled',
 attempt_count = greatest(d.attempt_count, excluded.attempt_count),
 last_status_code = CASE WHEN excluded.attempt_count > d.attempt_count
 THEN excluded.last_status_code ELSE d.last_status_code END WHERE d.state = 'pending'
 RETURNING tenant, subscription_id, id),
 changed AS MATERIALIZED (SELECT r.tenant, r.subscription_id, r.delivery_id AS id, l.earlier_state
 FROM typed r CROSS JOIN LATERAL resthooks.settle_logged(r.tenant, r.delivery_id, NULL, NULL, NULL,
 'cancelled') AS l WHERE r.type IS NULL),
 counted AS (:stat_change SELECT a.tenant, a.subscription_id, a.at / 3600000 * 3600000,
 sum(a.delivered), sum(a.failed), sum(a.cancelled), 0, 0 FROM (SELECT c.tenant,
 c.subscription_id, resthooks.uuid_ms(c.id) AS at, :state_counts FROM (SELECT tenant,
 subscription_id, id, 'cancelled' AS state, 'pending' AS earlier_state FROM cancelled
 UNION ALL SELECT tenant, subscription_id, id, 'cancelled', earlier_state FROM changed) AS c)
 AS a (tenant, subscription_id, at, delivered, failed, cancelled) GROUP BY 1, 2, 3)
 SELECT count(*) AS cancelled FROM removed;

-- name: release
-- Gives back all leases of a process, so that their deliveries are due now.
UPDATE resthooks.queue SET lease = 0, due_at = resthooks.now_ms() WHERE lease = :lease::bigint;
