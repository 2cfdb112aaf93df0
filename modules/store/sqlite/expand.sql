-- Licensed under the Apache License, Version 2.0: see LICENSE.
-- Make the deliveries of events that many subscriptions want, in chunks (rh_queue_expand.c).

-- name: expand_next
-- Returns the oldest open expansion of the first tenant after :tenant. The oldest goes first, so
-- that ordered subscriptions wait no longer than necessary. The type is NULL if the event was
-- deleted.
-- returns: tenant, event_id, after_id, until_id, created_at, type
SELECT x.tenant, x.event_id, x.after_id, x.until_id, x.created_at, e.type
 FROM resthooks_expansion x LEFT JOIN resthooks_event e ON e.tenant = x.tenant
 AND e.id = x.event_id WHERE x.tenant > :tenant ORDER BY x.tenant, x.event_id LIMIT 1;

-- name: expand_end
-- Returns the last subscription of a chunk, or no row if the chunk is the last one. SQLite has no
-- lateral joins, so the end of the chunk is looked up for each pattern first.
-- returns: subscription_id
WITH pattern AS (SELECT value AS pattern FROM json_each(:patterns)),
 place AS (SELECT :tenant AS tenant, :after AS after_id, :until AS until_id)
 SELECT DISTINCT e.subscription_id FROM place l CROSS JOIN pattern p
  CROSS JOIN resthooks_subscription_pattern e ON e.tenant = l.tenant AND e.pattern = p.pattern
  AND e.subscription_id > l.after_id AND e.subscription_id <= coalesce((SELECT x.subscription_id
  FROM resthooks_subscription_pattern x WHERE x.tenant = l.tenant AND x.pattern = p.pattern
  AND x.subscription_id > l.after_id ORDER BY x.subscription_id LIMIT 1 OFFSET :RH_EXPAND_CHUNK
  - 1), l.until_id) AND e.subscription_id <= l.until_id
  ORDER BY 1 LIMIT 1 OFFSET :RH_EXPAND_CHUNK - 1;

-- fragment: wants_it
-- A subscription that was paused or disabled after the event's commit is assumed to have been
-- active at the commit: it gets the delivery, which waits with its others.
(s.state = 'active' OR (s.state IN ('paused', 'disabled') AND s.updated_at >= c.created_at));

-- name: expand
-- Inserts the deliveries of a chunk into the queue.
WITH c AS (SELECT e.tenant, e.id AS event_id, e.key,
 CAST(c.created_at AS integer) AS created_at FROM (SELECT :event_id AS event_id,
 :created_at AS created_at, :tenant AS tenant) AS c
 CROSS JOIN resthooks_event e ON e.tenant = c.tenant AND e.id = c.event_id)
 INSERT INTO resthooks_queue (tenant, delivery_id, subscription_id, event_id, due_at, order_key)
  SELECT c.tenant, substr(c.event_id, 1, 19) || 'a' || substr(lower(hex(randomblob(2))), 1,
  3) || '-' || lower(hex(randomblob(6))), s.id, c.event_id, :clock,
  CASE WHEN s.in_order THEN c.key END FROM c
  CROSS JOIN (SELECT DISTINCT e.subscription_id FROM json_each(:patterns) AS p
  CROSS JOIN resthooks_subscription_pattern e ON e.tenant = :tenant AND e.pattern = p.value
  AND e.subscription_id > :after AND e.subscription_id <= :end) AS t
  CROSS JOIN resthooks_subscription s ON s.tenant = c.tenant AND s.id = t.subscription_id
  WHERE :wants_it;

-- name: expand_move
UPDATE resthooks_expansion SET after_id = :end WHERE tenant = :tenant AND event_id = :event_id;

-- name: expand_close
DELETE FROM resthooks_expansion WHERE tenant = :tenant AND event_id = :event_id;
