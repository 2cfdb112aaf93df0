-- Licensed under the Apache License, Version 2.0: see LICENSE.
-- What a person sends: again, a range of events again, a test.

-- name: delivery_subscription
-- The subscription of a delivery, and its state or NULL.
-- returns: subscription_id, state
SELECT d.subscription_id, s.state FROM resthooks_delivery d
 LEFT JOIN resthooks_subscription s ON s.tenant = d.tenant AND s.id = d.subscription_id
 WHERE d.tenant = :tenant AND d.id = :id;

-- name: redeliver_queue
-- A delivery that is being attempted keeps its lease and is marked by tries below 0: if the
-- attempt fails, even the last one, another is due at once and the schedule starts again.
INSERT INTO resthooks_queue (tenant, delivery_id, subscription_id, event_id, due_at,
 attempt_count, order_key) SELECT d.tenant, d.id, d.subscription_id, d.event_id, :clock,
 d.attempt_count, CASE WHEN s.in_order THEN e.key END FROM resthooks_delivery d
 JOIN resthooks_event e ON e.tenant = d.tenant AND e.id = d.event_id
 JOIN resthooks_subscription s ON s.tenant = d.tenant AND s.id = d.subscription_id
 WHERE d.tenant = :tenant AND d.id = :delivery_id
 ON CONFLICT (tenant, delivery_id) DO UPDATE SET tries =
 CASE WHEN resthooks_queue.lease > 0 THEN -1 ELSE 0 END, due_at =
 CASE WHEN resthooks_queue.lease > 0 THEN resthooks_queue.due_at ELSE excluded.due_at END,
 lease = CASE WHEN resthooks_queue.lease > 0 THEN resthooks_queue.lease ELSE 0 END;

-- name: redeliver_delivery
UPDATE resthooks_delivery SET state = 'pending' WHERE tenant = :tenant AND id = :delivery_id;

-- nothing: replay_lock
-- No other transaction can write at the same time.

-- fragment: missing_deliveries
-- Events that should have had a delivery, by their sources and ranges of types (JSON, from
-- rh_matching.h), except those for which an expansion makes it.
FROM resthooks_subscription s JOIN resthooks_event e ON e.tenant = s.tenant
 WHERE s.tenant = :tenant AND s.id = :subscription_id AND e.id >= :lowest AND e.id < :end
 AND e.source IN (SELECT value FROM json_each(:sources)) AND EXISTS (SELECT 1
 FROM json_each(:types) AS p WHERE e.type >= p.value ->> 'low'
 AND e.type < p.value ->> 'high') AND NOT EXISTS (SELECT 1
 FROM resthooks_delivery d INDEXED BY resthooks_delivery_event WHERE d.tenant = e.tenant
 AND d.event_id = e.id AND d.subscription_id = s.id) AND NOT EXISTS (SELECT 1
 FROM resthooks_expansion x WHERE x.tenant = e.tenant AND x.event_id = e.id
 AND x.after_id < s.id AND x.until_id >= s.id);

-- name: replay_missing
-- Makes deliveries of events that the subscription never got. They are cancelled until queued.
INSERT INTO resthooks_delivery (tenant, id, event_id, subscription_id, type, state)
 SELECT e.tenant, substr(e.id, 1, 19) || 'a' || substr(lower(hex(randomblob(2))), 1,
 3) || '-' || lower(hex(randomblob(6))), e.id, s.id, e.type,
 'cancelled' :missing_deliveries ORDER BY e.id;

-- name: replay_count_missing
-- returns: count
SELECT count(*) AS count :missing_deliveries;

-- name: replay_count
-- The range is one of events: a delivery's id is as old as its event's, or younger.
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
INSERT INTO resthooks_delivery (tenant, id, event_id, subscription_id, type)
 VALUES (:tenant, :id, :event_id, :subscription_id, :type);
