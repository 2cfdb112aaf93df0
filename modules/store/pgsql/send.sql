-- Licensed under the Apache License, Version 2.0: see LICENSE.
-- Send on request: redeliver a delivery, replay a range of events, send a test event.

-- name: delivery_subscription
-- Returns the subscription of a delivery, and the subscription's state, or NULL if it was deleted.
-- returns: subscription_id, state
SELECT d.subscription_id, s.state FROM (SELECT l.tenant, l.subscription_id
 FROM resthooks.delivery l WHERE l.tenant = :tenant AND l.id = :id::uuid
 UNION ALL SELECT q.tenant, q.subscription_id FROM resthooks.queue q
 WHERE q.tenant = :tenant AND q.delivery_id = :id::uuid LIMIT 1) AS d
 :its_subscription;

-- name: redeliver_queue
-- Queues a delivery again, from its row in the log, or from the queue if the log has none. A
-- delivery that is being attempted keeps its lease and is marked by tries below 0: if the attempt
-- fails, even the last one, another is due at once and the schedule starts again.
INSERT INTO resthooks.queue (tenant, delivery_id, subscription_id, event_id, due_at,
 attempt_count, last_status_code, order_key) SELECT d.tenant, d.id, d.subscription_id, d.event_id,
 resthooks.now_ms(), d.attempt_count, d.last_status_code, CASE WHEN s.in_order THEN e.key END
 FROM (:logged_rows WHERE l.tenant = :tenant AND l.id = :delivery_id::uuid
 UNION ALL :pending_rows FROM resthooks.queue q :event_of_pending WHERE q.tenant = :tenant
 AND q.delivery_id = :delivery_id::uuid AND :not_logged) AS d
 :its_event :its_subscription WHERE e.id IS NOT NULL AND s.id IS NOT NULL
 ON CONFLICT (tenant, delivery_id) DO UPDATE SET tries =
 CASE WHEN queue.lease > 0 THEN -1 ELSE 0 END, due_at =
 CASE WHEN queue.lease > 0 THEN queue.due_at ELSE excluded.due_at END, lease =
 CASE WHEN queue.lease > 0 THEN queue.lease ELSE 0 END;

-- fragment: only_attempt
-- Copies the attempt that is part of a delivery's row in the log into a row of its own.
INSERT INTO resthooks.attempt (tenant, id, delivery_id, number, started_at, ms, status_code, format,
 headers, answer, error, template, sent) SELECT l.tenant, l.attempt_id, l.id, 1, l.started_at, l.ms,
 l.last_status_code, l.format, l.headers, l.answer, l.error, l.template, l.sent
 FROM resthooks.delivery l WHERE l.attempt_id IS NOT NULL;

-- fragment: pending_again
-- A delivery that is pending again will have more attempts, so its row in the log no longer
-- contains one.
UPDATE resthooks.delivery SET state = 'pending', attempt_id = NULL, started_at = NULL, ms = NULL,
 format = NULL, headers = NULL, answer = NULL, error = NULL, template = NULL,
 sent = NULL;

-- name: redeliver_attempt
:only_attempt AND l.tenant = :tenant AND l.id = :delivery_id::uuid ON CONFLICT DO NOTHING;

-- fragment: counted_back
-- Takes the deliveries `x`, which ended and become pending again, out of the statistics.
:stat_change SELECT c.tenant, c.subscription_id, c.ms / 3600000 * 3600000,
 -count(*) FILTER (WHERE c.state = 'delivered'), -count(*) FILTER (WHERE c.state = 'failed'),
 -count(*) FILTER (WHERE c.state = 'cancelled'), 0, 0
 FROM (SELECT x.tenant, x.subscription_id, x.state, resthooks.uuid_ms(x.id) AS ms
 FROM resthooks.delivery x WHERE x.state <> 'pending';

-- name: redeliver_count
-- Locks the row, so that no other statement changes its state before it is set to pending.
:counted_back AND x.tenant = :tenant AND x.id = :delivery_id::uuid FOR UPDATE) AS c
 GROUP BY 1, 2, 3;

-- name: redeliver_delivery
:pending_again WHERE tenant = :tenant AND id = :delivery_id::uuid;

-- name: replay_lock
-- Waits for other replays of the subscription. An advisory lock is used because settling would have
-- to wait if a replay locked the row of subscription_stat.
-- returns: locked
SELECT 1 AS locked FROM pg_advisory_xact_lock(hashtextextended(:tenant,
 3) # hashtextextended(:subscription_id, 4));

-- fragment: missing_deliveries
-- Selects the events that lack a delivery, by their sources and ranges of types (JSON, from
-- rh_matching.h), except those whose delivery an expansion is still to make.
FROM resthooks.hook s JOIN resthooks.event e ON e.tenant = s.tenant
 WHERE s.tenant = :tenant AND s.id = :subscription_id::uuid AND e.id >= :lowest::uuid
 AND e.id < :end::uuid AND e.source IN (SELECT json_array_elements_text(:sources::json))
 AND EXISTS (SELECT 1 FROM json_to_recordset(:types::json) AS p(low text, high text)
 WHERE e.type >= p.low AND e.type < p.high) AND NOT EXISTS (SELECT 1
 FROM resthooks.delivery d WHERE d.tenant = e.tenant AND d.event_id = e.id
 AND d.subscription_id = s.id) AND NOT EXISTS (SELECT 1 FROM resthooks.queue q
 WHERE :queue_of_event AND q.subscription_id IS NOT DISTINCT FROM s.id OFFSET 0)
 AND NOT EXISTS (SELECT 1 FROM resthooks.expansion x
 WHERE x.tenant = e.tenant AND x.event_id = e.id AND x.after_id < s.id AND x.until_id >= s.id);

-- name: replay_missing
-- Logs deliveries for events that the subscription never got. The next statement queues them.
INSERT INTO resthooks.delivery (tenant, id, event_id, subscription_id, type, state)
 SELECT e.tenant, resthooks.uuidv7(), e.id, s.id, e.type, 'pending' :missing_deliveries
 ORDER BY e.id;

-- name: replay_count_missing
-- returns: count
SELECT count(*) AS count :missing_deliveries;

-- name: replay_count
-- The range is one of event ids. A delivery's id is never older than its event's.
-- returns: as replay_count_missing
SELECT count(*) AS count FROM resthooks.delivery d
 JOIN resthooks.event e ON e.tenant = d.tenant AND e.id = d.event_id WHERE d.tenant = :tenant
 AND d.subscription_id = :subscription_id::uuid AND d.id >= :lowest::uuid
 AND d.event_id >= :lowest::uuid AND d.event_id < :end::uuid
 AND d.state IN (SELECT json_array_elements_text(:states::json)) AND NOT EXISTS (SELECT 1
 FROM resthooks.queue q WHERE q.tenant = d.tenant AND q.delivery_id = d.id);

-- name: test_event
INSERT INTO resthooks.event (tenant, id, type, key, traceparent, time, source, data)
 VALUES (:tenant, :id::uuid, :type, :key, :traceparent, CAST(:time AS bigint), 'test', :data);

-- name: test_delivery
INSERT INTO resthooks.queue (tenant, delivery_id, subscription_id, event_id, due_at, order_key)
 SELECT s.tenant, :id::uuid, s.id, e.id, resthooks.now_ms(), CASE WHEN s.in_order THEN e.key END
 FROM resthooks.hook s JOIN resthooks.event e ON e.tenant = s.tenant
 AND e.id = :event_id::uuid WHERE s.tenant = :tenant AND s.id = :subscription_id::uuid;
