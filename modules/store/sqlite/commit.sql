-- Licensed under the Apache License, Version 2.0: see LICENSE.
-- Events are stored, with their deliveries: steps of one transaction.
-- The deliveries of an event are made with it only for RH_COMMIT_FANOUT subscriptions, the first
-- of those that want it; the others get theirs afterwards (expand.sql), so that what waits for a
-- commit does not wait for another tenant's thousand deliveries. As many are read of each pattern
-- and one more, which tells whether there are others.

-- fragment: items_rows
(SELECT value ->> 'n' AS n, value ->> 'id' AS id, value ->> 'tenant' AS tenant,
 value ->> 'type' AS type, value ->> 'key' AS key, value ->> 'client_id' AS client_id,
 value ->> 'traceparent' AS traceparent, value ->> 'time' AS time, value ->> 'source' AS source,
 value ->> 'sent' AS sent, value ->> 'data' AS data, value ->> 'previous' AS previous,
 value ->> 'reason' AS reason, coalesce(value ->> 'hops', 0) AS hops FROM json_each(:items)) AS i;

-- name: commit_keys
INSERT INTO resthooks_idempotency (tenant, client_id, event_id, created_at)
 SELECT i.tenant, i.client_id, i.id, CAST(:now AS integer) FROM :items_rows
 WHERE i.client_id IS NOT NULL ORDER BY i.n ON CONFLICT DO NOTHING;

-- name: commit_is_wide
-- The steps are the plain ones unless one pattern has that many.
-- returns: wide
SELECT 1 AS wide FROM json_each(:targets) WHERE EXISTS (SELECT 1
 FROM resthooks_subscription_pattern x WHERE x.tenant = value ->> 'tenant'
 AND x.pattern = value ->> 'pattern' LIMIT 1 OFFSET :RH_COMMIT_FANOUT) LIMIT 1;

-- fragment: reached
-- SQLite has no lateral joins, so the last subscription to read of each pattern is looked up first.
WITH pattern AS (SELECT value ->> 'tenant' AS tenant, value ->> 'type' AS type,
 value ->> 'pattern' AS pattern, coalesce((SELECT x.subscription_id
 FROM resthooks_subscription_pattern x WHERE x.tenant = value ->> 'tenant'
 AND x.pattern = value ->> 'pattern' ORDER BY x.subscription_id LIMIT 1 OFFSET
 :RH_COMMIT_FANOUT), 'g') AS last FROM json_each(:targets)),
 reached AS MATERIALIZED (SELECT r.*, row_number() OVER (PARTITION BY r.tenant, r.type
  ORDER BY r.subscription_id) AS place FROM (SELECT DISTINCT p.tenant, p.type,
  e.subscription_id FROM pattern p CROSS JOIN resthooks_subscription_pattern e ON e.tenant =
  p.tenant AND e.pattern = p.pattern AND e.subscription_id <= p.last) AS r);

-- name: commit_expansions
-- Runs before commit_events, because events that exist already are or were being expanded.
:reached INSERT INTO resthooks_expansion (tenant, event_id, after_id, until_id, created_at)
 SELECT i.tenant, i.id, w.subscription_id, (SELECT max((SELECT max(x.subscription_id)
 FROM resthooks_subscription_pattern x WHERE x.tenant = p.tenant AND x.pattern = p.pattern))
 FROM pattern p WHERE p.tenant = w.tenant AND p.type = w.type), CAST(:now AS integer)
 FROM reached w JOIN :items_rows ON i.tenant = w.tenant AND i.type = w.type
 WHERE w.place = :RH_COMMIT_FANOUT AND EXISTS (SELECT 1 FROM reached n
 WHERE n.tenant = w.tenant AND n.type = w.type AND n.place > w.place) AND i.sent = 1
 AND (i.client_id IS NULL OR EXISTS (SELECT 1 FROM resthooks_idempotency k
 WHERE k.tenant = i.tenant AND k.client_id = i.client_id AND k.event_id = i.id))
 AND NOT EXISTS (SELECT 1 FROM resthooks_event v WHERE v.tenant = i.tenant AND v.id = i.id);

-- name: commit_events
INSERT INTO resthooks_event (tenant, id, type, key, client_id, traceparent, time, source, data,
 previous, reason, hops) SELECT i.tenant, i.id, i.type, i.key, i.client_id, i.traceparent,
 i.time, i.source, i.data, i.previous, i.reason, i.hops FROM :items_rows
 WHERE i.client_id IS NULL OR EXISTS (SELECT 1 FROM resthooks_idempotency k
 WHERE k.tenant = i.tenant AND k.client_id = i.client_id AND k.event_id = i.id)
 ON CONFLICT DO NOTHING;

-- fragment: deliveries_of_items
INSERT INTO resthooks_delivery (tenant, id, event_id, subscription_id, type)
 SELECT i.tenant, substr(i.id, 1, 19) || 'a' || substr(lower(hex(randomblob(2))), 1,
 3) || '-' || lower(hex(randomblob(6))), i.id, s.id, i.type FROM :items_rows;

-- fragment: is_new
-- The event was stored in this transaction, or without deliveries before.
AND EXISTS (SELECT 1 FROM resthooks_event v WHERE v.tenant = i.tenant AND v.id = i.id)
 AND NOT EXISTS (SELECT 1 FROM resthooks_delivery d WHERE d.tenant = i.tenant
 AND d.event_id = i.id) ORDER BY i.n;

-- name: commit_deliveries
:deliveries_of_items JOIN resthooks_subscription s ON s.tenant = i.tenant
 AND s.state = 'active' WHERE i.sent = 1 AND s.id IN (SELECT e.subscription_id
 FROM json_each(:targets) AS p CROSS JOIN resthooks_subscription_pattern e ON e.tenant = i.tenant
 AND e.pattern = p.value ->> 'pattern' WHERE p.value ->> 'tenant' = i.tenant
 AND p.value ->> 'type' = i.type) :is_new;

-- name: commit_deliveries_wide
:reached :deliveries_of_items JOIN reached t ON t.tenant = i.tenant AND t.type = i.type
 AND t.place <= :RH_COMMIT_FANOUT JOIN resthooks_subscription s ON s.tenant = t.tenant
 AND s.id = t.subscription_id AND s.state = 'active' WHERE i.sent = 1 :is_new;

-- name: commit_queue
-- A new delivery is pending and has neither a row in the queue nor an attempt. SQLite has no
-- statistics of these tables: CROSS JOIN and INDEXED BY fix the plan where it would choose badly.
INSERT INTO resthooks_queue (tenant, delivery_id, subscription_id, event_id, due_at, lease,
 order_key) SELECT n.tenant, n.delivery_id, n.subscription_id, n.event_id, CASE WHEN n.at_once
 AND n.place <= CAST(:limit AS integer) THEN CAST(:leased_until AS integer) ELSE CAST(:now AS
 integer) END, CASE WHEN n.at_once AND n.place <= CAST(:limit AS integer) THEN CAST(:lease AS
 integer) ELSE 0 END, n.order_key FROM (SELECT d.tenant, d.id AS delivery_id, d.subscription_id,
 d.event_id, CASE WHEN s.in_order THEN i.key END AS order_key, NOT s.in_order
 AND s.rate_limit = 0 AND coalesce(t.paused_until, 0) <= CAST(:now AS integer) AS at_once,
 row_number() OVER (ORDER BY i.n) AS place FROM :items_rows
 CROSS JOIN resthooks_delivery d INDEXED BY resthooks_delivery_event ON d.tenant = i.tenant
 AND d.event_id = i.id AND d.state = 'pending' AND d.attempt_count = 0
 JOIN resthooks_subscription s ON s.tenant = d.tenant AND s.id = d.subscription_id
 LEFT JOIN resthooks_subscription_stat t ON t.tenant = s.tenant
 AND t.subscription_id = s.id) AS n WHERE true ON CONFLICT DO NOTHING;

-- name: commit_leased
-- returns: tenant, delivery_id, waits
SELECT q.tenant, q.delivery_id, q.lease <> CAST(:lease AS integer) AS waits
 FROM :items_rows CROSS JOIN resthooks_delivery d INDEXED BY resthooks_delivery_event ON
 d.tenant = i.tenant AND d.event_id = i.id JOIN resthooks_queue q ON q.tenant = d.tenant
 AND q.delivery_id = d.id ORDER BY i.n;

-- name: idempotency_get
-- The event that has a key.
-- returns: event_id
SELECT event_id FROM resthooks_idempotency WHERE tenant = :tenant AND client_id = :client_id;
