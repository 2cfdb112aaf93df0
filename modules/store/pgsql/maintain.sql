-- Licensed under the Apache License, Version 2.0: see LICENSE.
-- Clean up, and count the waiting deliveries.

-- name: partitions_make
-- returns: made
SELECT resthooks.ensure_partitions(:retention::bigint) AS made;

-- name: partitions_drop
-- returns: dropped
SELECT resthooks.drop_partitions(:retention::bigint) AS dropped;

-- name: partitions_mend
-- Creates the partitions that an insert found missing.
-- returns: made, made_past
SELECT resthooks.ensure_partitions(NULL) AS made, resthooks.ensure_past() AS made_past;

-- name: old_keys
-- Removes a limited number of the oldest idempotency keys past retention.
DELETE FROM resthooks.idempotency WHERE ctid = ANY (ARRAY(SELECT i.ctid
 FROM resthooks.idempotency i
 WHERE i.created_at < (SELECT resthooks.now_ms()) - :retention::bigint
 ORDER BY i.created_at LIMIT :limit::integer FOR UPDATE SKIP LOCKED));

-- fragment: live
-- True if a process could claim from the subscription: it is neither paused nor slowed down.
s.state = 'active' AND coalesce(t.paused_until, 0) <= c.at;

-- name: backlog
-- Counts the pending deliveries, up to a limit, and those among them that are due and could be
-- claimed; `oldest` is how long the oldest of the latter has been due. Only an index is read. The
-- comparison of subscription_id is always true; PostgreSQL needs it to see that the partial index
-- contains all rows.
-- returns: pending, due, oldest
SELECT coalesce(sum(d.count), 0) AS pending,
 coalesce(sum(CASE WHEN :live THEN d.due END), 0) AS due,
 coalesce(max(CASE WHEN :live AND d.due > 0 THEN c.at - d.oldest END), 0) AS oldest
 FROM (SELECT resthooks.now_ms() AS at) AS c
 CROSS JOIN (SELECT r.tenant, r.subscription_id, count(*) AS count,
  sum(CASE WHEN r.due_at <= n.at THEN 1 ELSE 0 END) AS due, min(r.due_at) AS oldest
  FROM (SELECT resthooks.now_ms() AS at) AS n
  CROSS JOIN (SELECT q.tenant, q.subscription_id, q.due_at FROM resthooks.queue q
   WHERE q.subscription_id >= '00000000-0000-0000-0000-000000000000'
   LIMIT :limit::integer) AS r
  GROUP BY r.tenant, r.subscription_id) AS d :its_subscription :its_stat;
