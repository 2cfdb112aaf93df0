-- Licensed under the Apache License, Version 2.0: see LICENSE.
-- Store events and their deliveries. A commit makes an event's deliveries for at most
-- RH_COMMIT_FANOUT subscriptions, the first of those that want it. The others get theirs afterwards
-- (expand.sql), so that callers that wait for a commit do not wait for a thousand deliveries of
-- another tenant. For each pattern one subscription more is read, which shows whether there are
-- others.

-- fragment: x_has_pattern
-- A range of one pattern: only the primary key has the order of pattern and subscription.
x.pattern >= p.pattern AND x.pattern <= p.pattern;

-- name: commit
-- Stores events and their deliveries. Until a delivery ends, it has a row only in the queue. Events
-- that were only observed have no deliveries. An event that is stored already (a repetition after a
-- lost connection, or a spool that is read again) or whose idempotency key is known has no effect:
-- deliveries are made only for `stored`, the events that this statement inserted, because the
-- deliveries of an earlier one may have ended since. A delivery has the id of its event except for
-- four digits, which differ between the deliveries of one event. So the pending deliveries of an
-- event are a range of the queue's key, and both are logged in partitions of the same time. Random
-- ids would make this statement a seventh slower. Idempotency keys are inserted in order, so two of
-- these statements do not deadlock on them. The rows are the leased deliveries; the events whose
-- key was known, without a delivery; and one row with n = -1, which has the number of deliveries
-- left to claim plus events to expand.
-- returns: n, delivery_id, subscription_id, target_url, options, secret, old_secret, base_url,
--   format, ordered, rate_limit, failing_for, waiting
WITH clock AS MATERIALIZED (SELECT resthooks.now_ms() AS at),
 item AS MATERIALIZED (SELECT * FROM json_to_recordset(:items::json) AS i(n integer, id uuid,
  tenant text, type text, key text, client_id text, traceparent text, time bigint, source text,
  sent integer, data text, previous text, reason text, hops integer)),
 fresh AS (INSERT INTO resthooks.idempotency (tenant, client_id, event_id, created_at)
  SELECT DISTINCT ON (i.tenant COLLATE "C", i.client_id COLLATE "C") i.tenant, i.client_id,
  i.id, clock.at FROM item i, clock WHERE i.client_id IS NOT NULL
  ORDER BY i.tenant COLLATE "C", i.client_id COLLATE "C", i.n ON CONFLICT DO NOTHING
  RETURNING event_id),
 stored AS (INSERT INTO resthooks.event (tenant, id, type, key, client_id, traceparent, time,
  source, data, previous, reason, hops) SELECT i.tenant, i.id, i.type, i.key, i.client_id,
  i.traceparent, i.time, i.source, i.data, i.previous, i.reason, coalesce(i.hops, 0)
  FROM item i WHERE i.client_id IS NULL OR i.id IN (SELECT event_id FROM fresh)
  ON CONFLICT DO NOTHING RETURNING id),
 pattern AS MATERIALIZED (SELECT p.tenant COLLATE "C" AS tenant, p.type COLLATE "C" AS type,
  p.pattern FROM json_to_recordset(:targets::json) AS p(tenant text, type text, pattern text)),
 reached AS MATERIALIZED (SELECT r.*, row_number() OVER (PARTITION BY r.tenant, r.type
  ORDER BY r.subscription_id) AS place FROM (SELECT DISTINCT p.tenant, p.type,
  e.subscription_id FROM pattern p CROSS JOIN LATERAL (SELECT x.subscription_id
  FROM resthooks.subscription_event x WHERE x.tenant = p.tenant AND :x_has_pattern
  ORDER BY x.pattern, x.subscription_id LIMIT :RH_COMMIT_FANOUT_MORE) AS e) AS r),
 active AS MATERIALIZED (SELECT d.type, '-8' || lpad(to_hex(d.place), 3, '0') AS mark, s.*,
  coalesce(t.paused_until, 0) AS paused_until,
  t.failing_since, NOT s.in_order AND s.rate_limit = 0
  AND coalesce(t.paused_until, 0) <= clock.at AS at_once FROM clock, reached d
  :its_subscription :its_stat WHERE s.state = 'active' AND d.place <= :RH_COMMIT_FANOUT),
 wide AS MATERIALIZED (SELECT w.tenant, w.type, w.subscription_id AS after_id,
  (SELECT l.subscription_id FROM pattern p CROSS JOIN LATERAL (SELECT x.subscription_id
  FROM resthooks.subscription_event x WHERE x.tenant = p.tenant AND :x_has_pattern
  ORDER BY x.pattern DESC, x.subscription_id DESC LIMIT 1) AS l WHERE p.tenant = w.tenant
  AND p.type = w.type ORDER BY l.subscription_id DESC LIMIT 1) AS until_id FROM reached w
  WHERE w.place = :RH_COMMIT_FANOUT AND EXISTS (SELECT 1 FROM reached n
  WHERE n.tenant = w.tenant AND n.type = w.type AND n.place > w.place)),
 sent AS MATERIALIZED (SELECT i.n, i.id, i.tenant, i.type, i.key FROM stored
  JOIN item i ON i.id = stored.id WHERE i.sent = 1),
 expanding AS (INSERT INTO resthooks.expansion (tenant, event_id, after_id, until_id,
  created_at) SELECT i.tenant, i.id, w.after_id, w.until_id, clock.at FROM clock, sent i
  JOIN wide w ON w.tenant = i.tenant AND w.type = i.type RETURNING 1),
 made AS MATERIALIZED (SELECT i.n, i.id AS event_id, i.key, overlay(i.id::text PLACING a.mark
  FROM 19)::uuid AS delivery_id, a.*, a.at_once
  AND count(*) FILTER (WHERE a.at_once) OVER (ORDER BY i.n ROWS UNBOUNDED PRECEDING) <=
  :limit::bigint AS leased FROM sent i JOIN active a ON a.tenant = i.tenant AND a.type = i.type),
 queued AS (INSERT INTO resthooks.queue (tenant, delivery_id, subscription_id, event_id, due_at,
  lease, order_key) SELECT m.tenant, m.delivery_id, m.id, m.event_id,
  CASE WHEN m.leased THEN clock.at + :lease_for::bigint ELSE clock.at END,
  CASE WHEN m.leased THEN :lease::bigint ELSE 0 END, CASE WHEN m.in_order THEN m.key END
  FROM made m, clock)
 SELECT m.n, m.delivery_id, m.id AS subscription_id, m.target_url, m.options, m.secret,
  CASE WHEN m.old_secret_until > clock.at THEN m.old_secret END AS old_secret, m.base_url,
  m.format, CASE WHEN m.in_order THEN 1 ELSE 0 END AS ordered, m.rate_limit,
  CASE WHEN m.failing_since IS NULL THEN 0 ELSE greatest(clock.at - m.failing_since,
  1) END AS failing_for, NULL::bigint AS waiting FROM made m, clock WHERE m.leased
  UNION ALL SELECT i.n, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
  NULL FROM item i WHERE i.client_id IS NOT NULL AND i.id NOT IN (SELECT event_id
  FROM fresh) UNION ALL SELECT -1, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
  NULL, (SELECT count(*) FROM made m WHERE NOT m.leased) + (SELECT count(*) FROM expanding);

-- name: idempotency_get
-- Returns the event that has an idempotency key.
-- returns: event_id
SELECT event_id FROM resthooks.idempotency WHERE tenant = :tenant AND client_id = :client_id;
