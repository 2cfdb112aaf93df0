-- Licensed under the Apache License, Version 2.0: see LICENSE.
-- Clean up, and count the waiting deliveries.

-- nothing: partitions_mend
-- Tables have no partitions.

-- name: old_keys
-- Removes a limited number of the oldest idempotency keys past retention.
DELETE FROM resthooks_idempotency WHERE (tenant, client_id) IN
 (SELECT i.tenant, i.client_id FROM resthooks_idempotency i
 WHERE i.created_at < :clock - CAST(:retention AS integer)
 ORDER BY i.created_at LIMIT CAST(:limit AS integer));

-- name: old_events
-- Removes a limited number of the oldest events, with ids below the first one to keep.
DELETE FROM resthooks_event WHERE (tenant, id) IN (SELECT o.tenant, o.id FROM resthooks_event o
 WHERE o.id < :kept ORDER BY o.id LIMIT CAST(:limit AS integer));

-- name: old_deliveries
DELETE FROM resthooks_delivery WHERE (tenant, id) IN (SELECT o.tenant, o.id
 FROM resthooks_delivery o
 WHERE o.id < :kept ORDER BY o.id LIMIT CAST(:limit AS integer));

-- name: old_attempts
DELETE FROM resthooks_attempt WHERE (tenant, id) IN (SELECT o.tenant, o.id
 FROM resthooks_attempt o
 WHERE o.id < :kept ORDER BY o.id LIMIT CAST(:limit AS integer));

-- fragment: live
-- True if a process could claim from the subscription: it is neither paused nor slowed down.
s.state = 'active' AND coalesce(t.paused_until, 0) <= c.at;

-- name: backlog
-- Counts the pending deliveries, up to a limit, and those among them that are due and could be
-- claimed; `oldest` is how long the oldest of the latter has been due. Only an index is read.
-- returns: pending, due, oldest
SELECT coalesce(sum(g.count), 0) AS pending,
 coalesce(sum(CASE WHEN :live THEN g.due END), 0) AS due,
 coalesce(max(CASE WHEN :live AND g.due > 0 THEN c.at - g.oldest END), 0) AS oldest
 FROM (SELECT :clock AS at) AS c
 CROSS JOIN (SELECT r.tenant, r.subscription_id, count(*) AS count,
  sum(CASE WHEN r.due_at <= n.at THEN 1 ELSE 0 END) AS due, min(r.due_at) AS oldest
  FROM (SELECT :clock AS at) AS n
  CROSS JOIN (SELECT q.tenant, q.subscription_id, q.due_at FROM resthooks_queue q
   WHERE q.subscription_id >= '00000000-0000-0000-0000-000000000000'
   LIMIT CAST(:limit AS integer)) AS r
  GROUP BY r.tenant, r.subscription_id) AS g
 LEFT JOIN resthooks_subscription s ON s.tenant = g.tenant AND s.id = g.subscription_id
 LEFT JOIN resthooks_subscription_stat t ON t.tenant = s.tenant AND t.subscription_id = s.id;
