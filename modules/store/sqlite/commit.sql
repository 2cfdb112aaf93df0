-- Licensed under the Apache License, Version 2.0: see LICENSE.
-- Store events and their deliveries, in the steps of one transaction. A commit makes an event's
-- deliveries for at most RH_COMMIT_FANOUT subscriptions, the first of those that want it. The
-- others get theirs afterwards (expand.sql), so that callers that wait for a commit do not wait for
-- a thousand deliveries of another tenant. For each pattern one subscription more is read, which
-- shows whether there are others.

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
-- Returns a row if one pattern has more subscriptions than a commit makes deliveries for; the
-- commit then takes the steps for wide events.
-- returns: wide
SELECT 1 AS wide FROM json_each(:targets) WHERE EXISTS (SELECT 1
 FROM resthooks_subscription_pattern x WHERE x.tenant = value ->> 'tenant'
 AND x.pattern = value ->> 'pattern' LIMIT 1 OFFSET :RH_COMMIT_FANOUT) LIMIT 1;

-- fragment: reached
-- SQLite has no lateral joins, so the last subscription to read for each pattern is looked up
-- first.
WITH pattern AS (SELECT value ->> 'tenant' AS tenant, value ->> 'type' AS type,
 value ->> 'pattern' AS pattern, coalesce((SELECT x.subscription_id
 FROM resthooks_subscription_pattern x WHERE x.tenant = value ->> 'tenant'
 AND x.pattern = value ->> 'pattern' ORDER BY x.subscription_id LIMIT 1 OFFSET
 :RH_COMMIT_FANOUT), 'g') AS last FROM json_each(:targets)),
 reached AS MATERIALIZED (SELECT r.*, row_number() OVER (PARTITION BY r.tenant, r.type
  ORDER BY r.subscription_id) AS place FROM (SELECT DISTINCT p.tenant, p.type,
  e.subscription_id FROM pattern p CROSS JOIN resthooks_subscription_pattern e ON e.tenant =
  p.tenant AND e.pattern = p.pattern AND e.subscription_id <= p.last) AS r);

-- name: commit_events
-- Inserts the events that are new and returns their ids; the next steps work only on these. An
-- event that is stored already (from a spool that is read again) has or had its deliveries. They
-- may have ended and be past retention, so only the table of events shows it.
-- returns: id
INSERT INTO resthooks_event (tenant, id, type, key, client_id, traceparent, time, source, data,
 previous, reason, hops) SELECT i.tenant, i.id, i.type, i.key, i.client_id, i.traceparent,
 i.time, i.source, i.data, i.previous, i.reason, i.hops FROM :items_rows
 WHERE i.client_id IS NULL OR EXISTS (SELECT 1 FROM resthooks_idempotency k
 WHERE k.tenant = i.tenant AND k.client_id = i.client_id AND k.event_id = i.id)
 ON CONFLICT DO NOTHING RETURNING id;

-- fragment: is_sent
-- True if this transaction stored the event, and the event is to be sent, not only observed.
i.sent = 1 AND i.id IN (SELECT value FROM json_each(:stored));

-- name: commit_expansions
:reached INSERT INTO resthooks_expansion (tenant, event_id, after_id, until_id, created_at)
 SELECT i.tenant, i.id, w.subscription_id, (SELECT max((SELECT max(x.subscription_id)
 FROM resthooks_subscription_pattern x WHERE x.tenant = p.tenant AND x.pattern = p.pattern))
 FROM pattern p WHERE p.tenant = w.tenant AND p.type = w.type), CAST(:now AS integer)
 FROM reached w JOIN :items_rows ON i.tenant = w.tenant AND i.type = w.type
 WHERE w.place = :RH_COMMIT_FANOUT AND EXISTS (SELECT 1 FROM reached n
 WHERE n.tenant = w.tenant AND n.type = w.type AND n.place > w.place) AND :is_sent;

-- fragment: queue_items
-- Until a delivery ends, it has a row only in the queue. Its id begins with the first 64 bits of
-- its event's id, so the pending deliveries of an event are a range of the queue's key.
INSERT INTO resthooks_queue (tenant, delivery_id, subscription_id, event_id, due_at, lease,
 order_key) SELECT n.tenant, n.delivery_id, n.subscription_id, n.event_id, CASE WHEN n.at_once
 AND n.place <= CAST(:limit AS integer) THEN CAST(:leased_until AS integer) ELSE CAST(:now AS
 integer) END, CASE WHEN n.at_once AND n.place <= CAST(:limit AS integer) THEN CAST(:lease AS
 integer) ELSE 0 END, n.order_key FROM (SELECT i.tenant, substr(i.id, 1,
 19) || 'a' || substr(lower(hex(randomblob(2))), 1, 3) || '-' || lower(hex(randomblob(6)))
 AS delivery_id, s.id AS subscription_id, i.id AS event_id,
 CASE WHEN s.in_order THEN i.key END AS order_key, NOT s.in_order AND s.rate_limit = 0
 AND coalesce(t.paused_until, 0) <= CAST(:now AS integer) AS at_once,
 row_number() OVER (ORDER BY i.n) AS place FROM :items_rows;

-- fragment: subscription_stat
LEFT JOIN resthooks_subscription_stat t ON t.tenant = s.tenant AND t.subscription_id = s.id;

-- name: commit_queue
-- returns: tenant, delivery_id, waits
:queue_items JOIN resthooks_subscription s ON s.tenant = i.tenant
 AND s.state = 'active' :subscription_stat WHERE :is_sent AND s.id IN (SELECT e.subscription_id
 FROM json_each(:targets) AS p CROSS JOIN resthooks_subscription_pattern e ON e.tenant = i.tenant
 AND e.pattern = p.value ->> 'pattern' WHERE p.value ->> 'tenant' = i.tenant
 AND p.value ->> 'type' = i.type)) AS n
 RETURNING tenant, delivery_id, lease <> CAST(:lease AS integer) AS waits;

-- name: commit_queue_wide
-- returns: as commit_queue
:reached :queue_items JOIN reached w ON w.tenant = i.tenant AND w.type = i.type
 AND w.place <= :RH_COMMIT_FANOUT JOIN resthooks_subscription s ON s.tenant = w.tenant
 AND s.id = w.subscription_id AND s.state = 'active' :subscription_stat WHERE :is_sent) AS n
 RETURNING tenant, delivery_id, lease <> CAST(:lease AS integer) AS waits;

-- name: idempotency_get
-- Returns the event that has an idempotency key.
-- returns: event_id
SELECT event_id FROM resthooks_idempotency WHERE tenant = :tenant AND client_id = :client_id;
