-- Licensed under the Apache License, Version 2.0: see LICENSE.
-- What a person sends: again, a range of events again, a test.

-- name: delivery_subscription
-- The subscription of a delivery, and its state or NULL.
-- returns: subscription_id, state
SELECT d.subscription_id, s.state FROM resthooks.delivery d
 LEFT JOIN resthooks.subscription s ON s.tenant = d.tenant AND s.id = d.subscription_id
 WHERE d.tenant = :tenant AND d.id = :id::uuid;

-- name: redeliver_queue
-- A delivery that is being attempted keeps its lease and is marked by tries below 0: if the
-- attempt fails, even the last one, another is due at once and the schedule starts again.
INSERT INTO resthooks.queue (tenant, delivery_id, subscription_id, event_id, due_at,
 attempt_count, order_key) SELECT d.tenant, d.id, d.subscription_id, d.event_id,
 resthooks.now_ms(), d.attempt_count, CASE WHEN s.in_order THEN e.key END
 FROM resthooks.delivery d JOIN resthooks.event e ON e.tenant = d.tenant
 AND e.id = d.event_id JOIN resthooks.subscription s ON s.tenant = d.tenant
 AND s.id = d.subscription_id WHERE d.tenant = :tenant AND d.id = :delivery_id::uuid
 ON CONFLICT (tenant, delivery_id) DO UPDATE SET tries =
 CASE WHEN queue.lease > 0 THEN -1 ELSE 0 END, due_at =
 CASE WHEN queue.lease > 0 THEN queue.due_at ELSE excluded.due_at END, lease =
 CASE WHEN queue.lease > 0 THEN queue.lease ELSE 0 END;

-- name: redeliver_delivery
UPDATE resthooks.delivery SET state = 'pending' WHERE tenant = :tenant
 AND id = :delivery_id::uuid;

-- name: replay_lock
-- Waits for other replays of the subscription. Not the row of subscription_stat, for which
-- settling would have to wait all the while.
-- returns: locked
SELECT 1 AS locked FROM pg_advisory_xact_lock(hashtextextended(:tenant,
 3) # hashtextextended(:subscription_id, 4));

-- fragment: missing_deliveries
-- Events that should have had a delivery, by their sources and ranges of types (JSON, from
-- rh_matching.h), except those for which an expansion makes it.
FROM resthooks.subscription s JOIN resthooks.event e ON e.tenant = s.tenant
 WHERE s.tenant = :tenant AND s.id = :subscription_id::uuid AND e.id >= :lowest::uuid
 AND e.id < :end::uuid AND e.source IN (SELECT json_array_elements_text(:sources::json))
 AND EXISTS (SELECT 1 FROM json_to_recordset(:types::json) AS p(low text, high text)
 WHERE e.type >= p.low AND e.type < p.high) AND NOT EXISTS (SELECT 1
 FROM resthooks.delivery d WHERE d.tenant = e.tenant AND d.event_id = e.id
 AND d.subscription_id = s.id) AND NOT EXISTS (SELECT 1 FROM resthooks.expansion x
 WHERE x.tenant = e.tenant AND x.event_id = e.id AND x.after_id < s.id AND x.until_id >= s.id);

-- name: replay_missing
-- Makes deliveries of events that the subscription never got. They are cancelled until queued.
INSERT INTO resthooks.delivery (tenant, id, event_id, subscription_id, type, state)
 SELECT e.tenant, resthooks.uuidv7(), e.id, s.id, e.type, 'cancelled' :missing_deliveries
 ORDER BY e.id;

-- name: replay_count_missing
-- returns: count
SELECT count(*) AS count :missing_deliveries;

-- name: replay_count
-- The range is one of events: a delivery's id is as old as its event's, or younger.
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
INSERT INTO resthooks.delivery (tenant, id, event_id, subscription_id, type)
 VALUES (:tenant, :id::uuid, :event_id::uuid, :subscription_id::uuid, :type);
