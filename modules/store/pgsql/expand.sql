-- Licensed under the Apache License, Version 2.0: see LICENSE.
-- Make the deliveries of events that many subscriptions want, in chunks (rh_queue_expand.c).

-- name: expand_next
-- Returns the oldest open expansion of the first tenant after :tenant. The oldest goes first, so
-- that ordered subscriptions wait no longer than necessary. The type is NULL if the event was
-- deleted.
-- returns: tenant, event_id, after_id, until_id, created_at, type
SELECT x.tenant, x.event_id, x.after_id, x.until_id, x.created_at, e.type
 FROM resthooks.expansion x LEFT JOIN LATERAL (SELECT y.type FROM resthooks.event y
 WHERE y.tenant = x.tenant AND y.id = x.event_id LIMIT 1) AS e ON true WHERE x.tenant > :tenant
 ORDER BY x.tenant, x.event_id LIMIT 1 FOR UPDATE OF x SKIP LOCKED;

-- name: expand_end
-- Returns the last subscription of a chunk, or no row if the chunk is the last one.
-- returns: subscription_id
SELECT DISTINCT e.subscription_id FROM json_array_elements_text(:patterns::json) AS p(pattern)
 CROSS JOIN LATERAL (SELECT x.subscription_id FROM resthooks.subscription_event x
 WHERE x.tenant = :tenant AND :x_has_pattern AND x.subscription_id > :after::uuid
 AND x.subscription_id <= :until::uuid ORDER BY x.pattern, x.subscription_id
 LIMIT :RH_EXPAND_CHUNK) AS e
 ORDER BY 1 LIMIT 1 OFFSET :RH_EXPAND_CHUNK - 1;

-- fragment: wants_it
-- A subscription that was paused or disabled after the event's commit is assumed to have been
-- active at the commit: it gets the delivery, which waits with its others.
(s.state = 'active' OR (s.state IN ('paused', 'disabled') AND s.updated_at >= c.created_at));

-- name: expand
-- Inserts the deliveries of a chunk into the queue.
WITH c AS MATERIALIZED (SELECT e.tenant, e.id AS event_id, e.key, c.created_at,
 resthooks.now_ms() AS at FROM (SELECT :event_id::uuid AS event_id,
 :created_at::bigint AS created_at, :tenant::text AS tenant) AS c
 JOIN resthooks.event e ON e.tenant = c.tenant AND e.id = c.event_id),
 made AS MATERIALIZED (SELECT s.id, s.in_order, (left(c.event_id::text,
  18) || right(gen_random_uuid()::text, 18))::uuid AS delivery_id FROM c
  CROSS JOIN (SELECT DISTINCT e.subscription_id
  FROM json_array_elements_text(:patterns::json) AS p(pattern)
  CROSS JOIN LATERAL (SELECT x.subscription_id FROM resthooks.subscription_event x
  WHERE x.tenant = :tenant AND x.pattern = p.pattern AND x.subscription_id > :after::uuid
  AND x.subscription_id <= :end::uuid OFFSET 0) AS e) AS t CROSS JOIN LATERAL (SELECT x.*
  FROM resthooks.hook x WHERE x.tenant = c.tenant
  AND x.id = t.subscription_id LIMIT 1) AS s WHERE :wants_it)
 INSERT INTO resthooks.queue (tenant, delivery_id, subscription_id, event_id, due_at,
  order_key) SELECT c.tenant, m.delivery_id, m.id, c.event_id, c.at,
  CASE WHEN m.in_order THEN c.key END FROM c CROSS JOIN made m;

-- name: expand_move
UPDATE resthooks.expansion SET after_id = :end::uuid WHERE tenant = :tenant
 AND event_id = :event_id::uuid;

-- name: expand_close
DELETE FROM resthooks.expansion WHERE tenant = :tenant AND event_id = :event_id::uuid;
