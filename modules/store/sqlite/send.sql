-- Licensed under the Apache License, Version 2.0: see LICENSE.
-- Send on request: redeliver a delivery, replay a range of events, send a test event.

-- name: delivery_subscription
-- Returns the subscription of a delivery, and the subscription's state, or NULL if it was deleted.
-- returns: subscription_id, state
SELECT d.subscription_id, s.state FROM (SELECT l.tenant, l.subscription_id
 FROM resthooks_delivery l WHERE l.tenant = :tenant AND l.id = :id
 UNION ALL SELECT q.tenant, q.subscription_id FROM resthooks_queue q
 WHERE q.tenant = :tenant AND q.delivery_id = :id LIMIT 1) AS d
 LEFT JOIN resthooks_subscription s ON s.tenant = d.tenant AND s.id = d.subscription_id;

-- name: redeliver_queue
-- Queues a delivery again, from its row in the log, or from the queue if the log has none. A
-- delivery that is being attempted keeps its lease and is marked by tries below 0: if the attempt
-- fails, even the last one, another is due at once and the schedule starts again.
INSERT INTO resthooks_queue (tenant, delivery_id, subscription_id, event_id, due_at,
 attempt_count, last_status_code, order_key) SELECT d.tenant, d.id, d.subscription_id, d.event_id,
 :clock, d.attempt_count, d.last_status_code, CASE WHEN s.in_order THEN e.key END
 FROM (:logged_rows FROM resthooks_delivery l :queue_of_logged WHERE l.tenant = :tenant
 AND l.id = :delivery_id UNION ALL :pending_rows FROM resthooks_queue q :event_of_pending
 WHERE q.tenant = :tenant AND q.delivery_id = :delivery_id AND :not_logged) AS d
 CROSS JOIN resthooks_event e ON e.tenant = d.tenant AND e.id = d.event_id
 CROSS JOIN resthooks_subscription s ON s.tenant = d.tenant AND s.id = d.subscription_id
 WHERE true
 ON CONFLICT (tenant, delivery_id) DO UPDATE SET tries =
 CASE WHEN resthooks_queue.lease > 0 THEN -1 ELSE 0 END, due_at =
 CASE WHEN resthooks_queue.lease > 0 THEN resthooks_queue.due_at ELSE excluded.due_at END,
 lease = CASE WHEN resthooks_queue.lease > 0 THEN resthooks_queue.lease ELSE 0 END;

-- fragment: only_attempt
-- Copies the attempt that is part of a delivery's row in the log into a row of its own.
INSERT INTO resthooks_attempt (tenant, id, delivery_id, number, started_at, ms, status_code, format,
 headers, answer, error, template, sent) SELECT l.tenant, l.attempt_id, l.id, 1, l.started_at, l.ms,
 l.last_status_code, l.format, l.headers, l.answer, l.error, l.template, l.sent
 FROM resthooks_delivery l WHERE l.attempt_id IS NOT NULL;

-- fragment: pending_again
-- A delivery that is pending again will have more attempts, so its row in the log no longer
-- contains one.
UPDATE resthooks_delivery SET state = 'pending', attempt_id = NULL, started_at = NULL, ms = NULL,
 format = NULL, headers = NULL, answer = NULL, error = NULL, template = NULL,
 sent = NULL;

-- name: redeliver_attempt
:only_attempt AND l.tenant = :tenant AND l.id = :delivery_id ON CONFLICT DO NOTHING;

-- fragment: counted_back
-- Takes the deliveries `x`, which ended and become pending again, out of the statistics.
:stat_change SELECT c.tenant, c.subscription_id, c.at / 3600000 * 3600000, -sum(c.state = 'delivered'),
 -sum(c.state = 'failed'), -sum(c.state = 'cancelled'), 0, 0
 FROM (SELECT x.tenant, x.subscription_id, x.state, :uuid_ms AS at FROM resthooks_delivery x
 WHERE x.state <> 'pending';

-- name: redeliver_count
:counted_back AND x.tenant = :tenant AND x.id = :delivery_id) AS c GROUP BY 1, 2, 3;

-- name: redeliver_delivery
:pending_again WHERE tenant = :tenant AND id = :delivery_id;

-- nothing: replay_lock
-- No other transaction can write at the same time.

-- fragment: missing_deliveries
-- Selects the events that lack a delivery, by their sources and ranges of types (JSON, from
-- rh_matching.h), except those whose delivery an expansion is still to make.
FROM resthooks_subscription s JOIN resthooks_event e ON e.tenant = s.tenant
 WHERE s.tenant = :tenant AND s.id = :subscription_id AND e.id >= :lowest AND e.id < :end
 AND e.source IN (SELECT value FROM json_each(:sources)) AND EXISTS (SELECT 1
 FROM json_each(:types) AS p WHERE e.type >= p.value ->> 'low'
 AND e.type < p.value ->> 'high') AND NOT EXISTS (SELECT 1
 FROM resthooks_delivery d INDEXED BY resthooks_delivery_event WHERE d.tenant = e.tenant
 AND d.event_id = e.id AND d.subscription_id = s.id) AND NOT EXISTS (SELECT 1
 FROM resthooks_queue q WHERE :queue_of_event AND +q.subscription_id = s.id)
 AND NOT EXISTS (SELECT 1 FROM resthooks_expansion x WHERE x.tenant = e.tenant AND x.event_id = e.id
 AND x.after_id < s.id AND x.until_id >= s.id);

-- name: replay_missing
-- Logs deliveries for events that the subscription never got. The next statement queues them.
INSERT INTO resthooks_delivery (tenant, id, event_id, subscription_id, type, state)
 SELECT e.tenant, substr(e.id, 1, 19) || 'a' || substr(lower(hex(randomblob(2))), 1,
 3) || '-' || lower(hex(randomblob(6))), e.id, s.id, e.type,
 'pending' :missing_deliveries ORDER BY e.id;

-- name: replay_count_missing
-- returns: count
SELECT count(*) AS count :missing_deliveries;

-- name: replay_count
-- The range is one of event ids. A delivery's id is never older than its event's.
-- returns: as replay_count_missing
SELECT count(*) AS count FROM resthooks_delivery d
 JOIN resthooks_event e ON e.tenant = d.tenant AND e.id = d.event_id WHERE d.tenant = :tenant
 AND d.subscription_id = :subscription_id AND d.id >= :lowest AND d.event_id >= :lowest
 AND d.event_id < :end AND d.state IN (SELECT value FROM json_each(:states))
 AND NOT EXISTS (SELECT 1 FROM resthooks_queue q WHERE q.tenant = d.tenant
 AND q.delivery_id = d.id);

-- name: test_event
INSERT INTO resthooks_event (tenant, id, type, key, traceparent, time, source, data)
 VALUES (:tenant, :id, :type, :key, :traceparent, CAST(:time AS integer), 'test', :data);

-- name: test_delivery
INSERT INTO resthooks_queue (tenant, delivery_id, subscription_id, event_id, due_at, order_key)
 SELECT s.tenant, :id, s.id, e.id, :clock, CASE WHEN s.in_order THEN e.key END
 FROM resthooks_subscription s JOIN resthooks_event e ON e.tenant = s.tenant
 AND e.id = :event_id WHERE s.tenant = :tenant AND s.id = :subscription_id;
