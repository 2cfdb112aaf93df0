-- Licensed under the Apache License, Version 2.0: see LICENSE.
-- The logs of deliveries and of their attempts.

-- fragment: delivery_columns
-- waiting_for is what a pending delivery waits for, in the words of rh_delivery.h. Only a delivery
-- that is not leased and is the first of its key has a time of its next attempt.
d.id, d.tenant, d.event_id, d.subscription_id, d.type, d.state, d.attempt_count,
 d.last_status_code,
 CASE WHEN q.lease = 0 THEN max(q.due_at, coalesce(t.paused_until, 0)) END AS next_attempt_at,
 CASE WHEN d.state <> 'pending' OR q.lease IS NULL THEN NULL
  WHEN s.state <> 'active' THEN 'subscription' WHEN q.lease < 0 THEN 'order'
  WHEN q.lease > 0 AND q.due_at > :clock THEN 'attempt'
  WHEN t.paused_until > max(q.due_at, :clock) THEN
   CASE WHEN s.rate_limit > 0 AND t.failing_since IS NULL THEN 'rate_limit' ELSE 'target' END
  WHEN q.due_at > :clock THEN 'schedule' ELSE 'turn' END AS waiting_for,
 s.format, s.target_url, s.base_url, e.key, e.time, e.source, e.traceparent;

-- fragment: delivery_tables
LEFT JOIN resthooks_queue q ON q.tenant = d.tenant AND q.delivery_id = d.id
 LEFT JOIN resthooks_subscription s ON s.tenant = d.tenant AND s.id = d.subscription_id
 LEFT JOIN resthooks_subscription_stat t
 ON t.tenant = d.tenant AND t.subscription_id = d.subscription_id
 LEFT JOIN resthooks_event e ON e.tenant = d.tenant AND e.id = d.event_id;

-- fragment: delivery_page
d.id >= :lowest AND d.id < :end
 AND (:type IS NULL OR d.type = :type) AND (:state IS NULL OR d.state = :state)
 AND d.last_status_code >= CAST(:status_from AS integer)
 AND d.last_status_code < CAST(:status_end AS integer);

-- fragment: event_search
-- Each condition holds where its parameter is NULL.
(:key IS NULL OR e.key = :key)
 AND (:sources IS NULL OR e.source IN (SELECT value FROM json_each(:sources)))
 AND (:text IS NULL OR instr(lower(e.data), lower(:text)) > 0);

-- name: delivery_list
-- returns: id, tenant, event_id, subscription_id, type, state, attempt_count, last_status_code,
--   next_attempt_at, waiting_for, format, target_url, base_url, key, time, source, traceparent
SELECT :delivery_columns FROM resthooks_delivery d :delivery_tables
 WHERE d.tenant = :tenant AND :delivery_page
 ORDER BY d.id DESC LIMIT CAST(:limit AS integer);

-- name: delivery_list_subscription
-- returns: as delivery_list
SELECT :delivery_columns FROM resthooks_delivery d :delivery_tables
 WHERE d.tenant = :tenant AND d.subscription_id = :subscription_id AND :delivery_page
 ORDER BY d.id DESC LIMIT CAST(:limit AS integer);

-- name: delivery_list_event
-- The few of one event are sorted: going through all by id would take longer.
-- SQLite is told which index that takes.
-- returns: as delivery_list
SELECT :delivery_columns
 FROM resthooks_delivery d INDEXED BY resthooks_delivery_event :delivery_tables
 WHERE d.tenant = :tenant AND d.event_id = :event_id AND :delivery_page
 ORDER BY CAST(d.id AS text) DESC LIMIT CAST(:limit AS integer);

-- name: delivery_list_searched
-- The span of ids bounds what is read.
-- returns: as delivery_list
SELECT :delivery_columns FROM resthooks_delivery d :delivery_tables
 WHERE d.tenant = :tenant AND :delivery_page
 AND (:subscription_id IS NULL OR CAST(d.subscription_id AS text) = :subscription_id)
 AND :event_search
 ORDER BY d.id DESC LIMIT CAST(:limit AS integer);

-- name: delivery_count
-- returns: count
SELECT count(*) AS count FROM resthooks_delivery d WHERE d.tenant = :tenant
 AND (:subscription_id IS NULL OR CAST(d.subscription_id AS text) = :subscription_id)
 AND :delivery_page
 AND (coalesce(:key, :sources, :text) IS NULL OR EXISTS (SELECT 1 FROM resthooks_event e
  WHERE e.tenant = d.tenant AND e.id = d.event_id AND :event_search));

-- name: delivery_get
-- returns: as delivery_list, data
SELECT :delivery_columns, e.data FROM resthooks_delivery d :delivery_tables
 WHERE d.tenant = :tenant AND d.id = :id;

-- name: attempt_list
-- The latest attempts of one delivery, newest first.
-- returns: id, number, started_at, ms, status_code, headers, answer, error, format, sent
SELECT id, number, started_at, ms, status_code, headers, answer, error, format, sent
 FROM resthooks_attempt WHERE tenant = :tenant AND delivery_id = :delivery_id
 ORDER BY number DESC, started_at DESC LIMIT 100;
