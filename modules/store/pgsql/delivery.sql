-- Licensed under the Apache License, Version 2.0: see LICENSE.
-- Read the logs of deliveries and of their attempts.
--
-- A delivery is pending as long as it has a row in the queue. The log may also have a row of it,
-- written when it ended earlier. So the deliveries are all rows of the queue, and those rows of the
-- log that are not in the queue. One statement reads both parts, so that it neither misses a
-- delivery nor returns it twice.

-- fragment: ended_rows
-- Deliveries from the log, `l`.
SELECT l.tenant, l.id, l.event_id, l.subscription_id, l.type, l.state, l.attempt_count,
 l.last_status_code, NULL::bigint AS lease, NULL::bigint AS due_at FROM resthooks.delivery l;

-- fragment: ended_page
l.id >= :lowest::uuid AND l.id < :end::uuid AND (:state IS NULL OR :state <> 'pending')
 AND l.state <> 'pending' AND (:state IS NULL OR l.state = :state)
 AND (:type IS NULL OR l.type = :type)
 AND l.last_status_code >= CAST(:status_from AS integer)
 AND l.last_status_code < CAST(:status_end AS integer)
 AND (:subscription_id IS NULL OR l.subscription_id IS NOT DISTINCT FROM :subscription_id::uuid)
 AND (coalesce(:key, :sources, :text) IS NULL OR EXISTS (SELECT 1 FROM resthooks.event e
  WHERE e.tenant = l.tenant AND e.id = l.event_id AND :event_search OFFSET 0));

-- fragment: is_ended
-- OFFSET 0 keeps this a look-up per row; a join could read the whole queue.
NOT EXISTS (SELECT 1 FROM resthooks.queue w WHERE w.delivery_id = l.id
 AND w.tenant = l.tenant OFFSET 0);

-- fragment: pending_rows
-- Deliveries from the queue, `q`, with their event, `e`. Events are looked up one by one.
SELECT q.tenant, q.delivery_id AS id, q.event_id, q.subscription_id, e.type, 'pending' AS state,
 q.attempt_count, q.last_status_code, q.lease, q.due_at;

-- fragment: event_of_pending
CROSS JOIN LATERAL (SELECT x.type, x.key, x.source, x.data FROM resthooks.event x
 WHERE x.tenant = q.tenant AND x.id = q.event_id LIMIT 1) AS e;

-- fragment: pending_page
q.delivery_id >= :lowest::uuid AND q.delivery_id < :end::uuid
 AND (:state IS NULL OR :state = 'pending') AND (:type IS NULL OR e.type = :type)
 AND q.last_status_code >= CAST(:status_from AS integer)
 AND q.last_status_code < CAST(:status_end AS integer)
 AND (:subscription_id IS NULL OR q.subscription_id IS NOT DISTINCT FROM :subscription_id::uuid)
 AND :event_search;

-- fragment: of_tenant
-- The comparison of event_id is always true. Together with NULLS LAST it makes queue_newest the
-- only index that has this order, whatever the statistics of the queue are.
q.tenant = :tenant AND q.event_id >= '00000000-0000-0000-0000-000000000000';

-- fragment: newest_pending
ORDER BY q.delivery_id DESC NULLS LAST LIMIT CAST(:limit AS integer);

-- fragment: newest_ended
ORDER BY l.id DESC LIMIT CAST(:limit AS integer);

-- fragment: delivery_columns
-- waiting_for is what a pending delivery waits for, as a word of rh_delivery.h. The time of the
-- next attempt is known only for a delivery that is not leased and is the first of its key.
d.id, d.tenant, d.event_id, d.subscription_id, d.type, d.state, d.attempt_count,
 d.last_status_code,
 CASE WHEN d.lease = 0 THEN greatest(d.due_at, coalesce(t.paused_until, 0)) END AS next_attempt_at,
 CASE WHEN d.lease IS NULL THEN NULL
  WHEN s.state <> 'active' THEN 'subscription' WHEN d.lease < 0 THEN 'order'
  WHEN d.lease > 0 AND d.due_at > resthooks.now_ms() THEN 'attempt'
  WHEN t.paused_until > greatest(d.due_at, resthooks.now_ms()) THEN
   CASE WHEN s.rate_limit > 0 AND t.failing_since IS NULL THEN 'rate_limit' ELSE 'target' END
  WHEN d.due_at > resthooks.now_ms() THEN 'schedule' ELSE 'turn' END AS waiting_for,
 s.format, s.target_url, s.base_url, e.key, e.time, e.source, e.traceparent;

-- fragment: its_subscription
-- The subscription of a row `d`. These three look rows up by key, one by one, even while the tables
-- have no statistics.
LEFT JOIN LATERAL (SELECT x.* FROM resthooks.hook x WHERE x.tenant = d.tenant
 AND x.id = d.subscription_id LIMIT 1) AS s ON true;

-- fragment: its_stat
LEFT JOIN LATERAL (SELECT x.* FROM resthooks.subscription_stat x WHERE x.tenant = d.tenant
 AND x.subscription_id = d.subscription_id LIMIT 1) AS t ON true;

-- fragment: its_event
LEFT JOIN LATERAL (SELECT x.* FROM resthooks.event x WHERE x.tenant = d.tenant
 AND x.id = d.event_id LIMIT 1) AS e ON true;

-- fragment: delivery_tables
-- Tables that complete the deliveries of a page.
:its_subscription :its_stat :its_event;

-- fragment: event_search
-- A condition whose parameter is NULL is true. Converting only ASCII to lower case takes a third of
-- the time.
(:key IS NULL OR e.key = :key)
 AND (:sources IS NULL OR e.source IN (SELECT json_array_elements_text(:sources::json)))
 AND (:text IS NULL OR CASE WHEN octet_length(:text) = length(:text)
 THEN position(lower(:text) IN lower(e.data COLLATE "C"))
 ELSE position(lower(:text) IN lower(e.data)) END > 0);

-- fragment: newest_of_tenant
-- The queue's part of a page that is not limited to one subscription.
UNION ALL (:pending_rows FROM resthooks.queue q :event_of_pending
  WHERE :of_tenant AND :pending_page :newest_pending)
  ORDER BY 2 DESC LIMIT CAST(:limit AS integer)) AS d :delivery_tables ORDER BY d.id DESC;

-- name: delivery_list
-- returns: id, tenant, event_id, subscription_id, type, state, attempt_count, last_status_code,
--   next_attempt_at, waiting_for, format, target_url, base_url, key, time, source, traceparent
SELECT :delivery_columns FROM (
  (:ended_rows WHERE l.tenant = :tenant AND :ended_page AND :is_ended :newest_ended)
  :newest_of_tenant;

-- name: delivery_list_undelivered
-- Does the same when the conditions exclude delivered ones.
-- returns: as delivery_list
SELECT :delivery_columns FROM (
  (:ended_rows WHERE l.tenant = :tenant AND l.state <> 'delivered' AND :ended_page AND :is_ended
   :newest_ended)
  :newest_of_tenant;

-- fragment: few_pending
-- The subscription's deliveries in the queue, up to one more than RH_FEW_PENDING, which shows that
-- there are more. Only the index queue_due has the order in which they are collected.
few AS MATERIALIZED (SELECT q.* FROM resthooks.queue q WHERE q.tenant = :tenant
 AND q.subscription_id = :subscription_id::uuid ORDER BY q.due_at LIMIT :RH_FEW_PENDING + 1);

-- fragment: are_few
(SELECT count(*) FROM few) <= :RH_FEW_PENDING;

-- name: delivery_list_subscription
-- Lists the deliveries of one subscription. If more than RH_FEW_PENDING are pending, they are
-- searched for among those of the tenant, newest first.
-- returns: as delivery_list
WITH :few_pending SELECT :delivery_columns FROM (
  (:ended_rows WHERE l.tenant = :tenant AND l.subscription_id = :subscription_id::uuid
   AND :ended_page AND :is_ended :newest_ended)
  UNION ALL
  (:pending_rows FROM few q :event_of_pending WHERE :are_few AND :pending_page :newest_pending)
  UNION ALL
  (:pending_rows FROM resthooks.queue q :event_of_pending
   WHERE NOT :are_few AND :of_tenant AND :pending_page :newest_pending)
  ORDER BY 2 DESC LIMIT CAST(:limit AS integer)) AS d :delivery_tables ORDER BY d.id DESC;

-- fragment: ended_range
l.id >= :lowest::uuid AND l.id < :end::uuid AND (:state IS NULL OR :state <> 'pending')
 ORDER BY l.id DESC LIMIT 1 OFFSET CAST(:rows AS integer);

-- fragment: pending_range
q.delivery_id >= :lowest::uuid AND q.delivery_id < :end::uuid
 AND (:state IS NULL OR :state = 'pending')
 ORDER BY q.delivery_id DESC NULLS LAST LIMIT 1 OFFSET CAST(:rows AS integer);

-- name: delivery_stop
-- Returns the id at which a page must end if no index finds its rows directly: `rows` rows of the
-- log or of the queue below the end of its range. Returns no row if the range has fewer.
-- returns: id
SELECT s.id FROM (
  (SELECT l.id FROM resthooks.delivery l WHERE l.tenant = :tenant AND :ended_range)
  UNION ALL (SELECT q.delivery_id FROM resthooks.queue q WHERE :of_tenant AND :pending_range)) AS s
 ORDER BY s.id DESC LIMIT 1;

-- name: delivery_stop_undelivered
-- returns: as delivery_stop
SELECT s.id FROM (
  (SELECT l.id FROM resthooks.delivery l WHERE l.tenant = :tenant AND l.state <> 'delivered'
   AND :ended_range)
  UNION ALL (SELECT q.delivery_id FROM resthooks.queue q WHERE :of_tenant AND :pending_range)) AS s
 ORDER BY s.id DESC LIMIT 1;

-- name: delivery_stop_subscription
-- Without other conditions (`filtered` is NULL), an index of the log finds all rows of the
-- subscription, so that part needs no end.
-- returns: as delivery_stop
WITH :few_pending SELECT s.id FROM (
  (SELECT l.id FROM resthooks.delivery l WHERE l.tenant = :tenant
   AND l.subscription_id = :subscription_id::uuid AND :filtered IS NOT NULL AND :ended_range)
  UNION ALL (SELECT q.delivery_id FROM resthooks.queue q WHERE NOT :are_few AND :of_tenant
   AND :pending_range)) AS s
 ORDER BY s.id DESC LIMIT 1;

-- fragment: queue_of_event
-- A delivery's id begins with the same digits as its event's; a delivery whose id does not has a
-- row in the log. The other columns are compared in a form that no index supports, so that only the
-- queue's key can be used.
q.tenant = e.tenant AND q.event_id IS NOT DISTINCT FROM e.id
 AND q.delivery_id >= (left(e.id::text, 18) || '-0000-000000000000')::uuid
 AND q.delivery_id <= (left(e.id::text, 18) || '-ffff-ffffffffffff')::uuid;

-- fragment: logged_rows
-- A delivery from the log, `l`, in its current state: it may be in the queue again.
SELECT l.tenant, l.id, l.event_id, l.subscription_id, l.type,
 CASE WHEN w.lease IS NULL THEN l.state ELSE 'pending' END AS state,
 coalesce(w.attempt_count, l.attempt_count) AS attempt_count,
 coalesce(w.last_status_code, l.last_status_code) AS last_status_code, w.lease, w.due_at
 FROM resthooks.delivery l LEFT JOIN LATERAL (SELECT x.* FROM resthooks.queue x
 WHERE x.tenant = l.tenant AND x.delivery_id = l.id LIMIT 1) AS w ON true;

-- fragment: not_logged
NOT EXISTS (SELECT 1 FROM resthooks.delivery l WHERE l.tenant = q.tenant
 AND l.id = q.delivery_id OFFSET 0);

-- name: delivery_list_events
-- Lists the newest deliveries of each of the given events, in the order of the events. An event has
-- few deliveries, so they are sorted.
-- returns: as delivery_list
SELECT :delivery_columns FROM json_array_elements_text(:events::json) WITH ORDINALITY AS i(id, n)
 CROSS JOIN LATERAL (SELECT o.* FROM (
  :logged_rows WHERE l.tenant = :tenant AND l.event_id = i.id::uuid
   AND l.id >= (left(i.id, 14) || '0000-0000-000000000000')::uuid
  UNION ALL
  :pending_rows FROM (SELECT x.tenant, x.id, x.type FROM resthooks.event x WHERE x.tenant = :tenant
   AND x.id = i.id::uuid LIMIT 1) AS e CROSS JOIN LATERAL (SELECT q.*
   FROM resthooks.queue q WHERE :queue_of_event OFFSET 0) AS q WHERE :not_logged) AS o
  ORDER BY CAST(o.id AS text) DESC LIMIT CAST(:limit AS integer)) AS d
 :delivery_tables ORDER BY i.n, d.id DESC;

-- name: delivery_count
-- Counts both parts without comparing them: a row of the log that is not pending is not in the
-- queue.
-- returns: count
SELECT (SELECT count(*) FROM resthooks.delivery l WHERE l.tenant = :tenant AND :ended_page)
 + (SELECT count(*) FROM resthooks.queue q :event_of_pending WHERE :of_tenant AND :pending_page)
 AS count;

-- name: delivery_get
-- returns: as delivery_list, data
SELECT :delivery_columns, e.data FROM (
  :logged_rows WHERE l.tenant = :tenant AND l.id = :id::uuid
  UNION ALL
  :pending_rows FROM resthooks.queue q :event_of_pending WHERE q.tenant = :tenant
   AND q.delivery_id = :id::uuid AND :not_logged) AS d :delivery_tables;

-- name: attempt_list
-- Lists the latest attempts of one delivery, newest first. The first attempt may be in the row of
-- the delivery itself.
-- returns: id, number, started_at, ms, status_code, headers, answer, error, format, template_id,
--   template, sent
SELECT a.id, a.number, a.started_at, a.ms, a.status_code, a.headers, a.answer, a.error, a.format,
 a.template_id, (SELECT t.text FROM resthooks.sent_template t WHERE t.tenant = :tenant
 AND t.id = a.template_id) AS template, a.sent FROM (
 SELECT a.id, a.number, a.started_at, a.ms, a.status_code, a.headers, a.answer, a.error, a.format,
 a.template AS template_id, a.sent FROM resthooks.attempt a WHERE a.tenant = :tenant
 AND a.delivery_id = :delivery_id::uuid
 UNION ALL
 SELECT l.attempt_id, 1, l.started_at, l.ms, l.last_status_code, l.headers, l.answer, l.error,
 l.format, l.template, l.sent FROM resthooks.delivery l WHERE l.tenant = :tenant
 AND l.id = :delivery_id::uuid AND l.attempt_id IS NOT NULL AND NOT EXISTS (SELECT 1
 FROM resthooks.attempt x WHERE x.tenant = l.tenant AND x.id = l.attempt_id OFFSET 0)) AS a
 ORDER BY a.number DESC, a.started_at DESC LIMIT 100;
