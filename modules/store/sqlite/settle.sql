-- Licensed under the Apache License, Version 2.0: see LICENSE.
-- Record the outcomes of attempts, and give leases back. The steps of settling are listed in the
-- order in which they run, in one transaction.

-- fragment: outcome_columns
-- `first` holds all values of an attempt that is the delivery's first and delivered it.
value ->> 'kind' AS kind, value ->> 'tenant' AS tenant, value ->> 'id' AS id,
 value ->> 'event_id' AS event_id, value ->> 'subscription_id' AS subscription_id,
 value ->> 'type' AS type, value ->> 'lease' AS lease,
 value ->> 'delay' AS delay, value ->> 'pause' AS pause, value ->> 'reason' AS reason,
 value ->> 'attempt_id' AS attempt_id, value ->> 'number' AS number,
 value ->> 'started_at' AS started_at, value ->> 'ms' AS ms,
 value ->> 'status_code' AS status_code, value ->> 'format' AS format,
 value ->> 'headers' AS headers,
 value ->> 'answer' AS answer, value ->> 'error' AS error,
 value ->> 'template' AS template, value ->> 'sent' AS sent,
 CASE WHEN value ->> 'kind' = 'delivered' AND value ->> 'number' = 1
 THEN value END AS first;

-- name: settle_known
-- Returns attempts that are recorded already, in their delivery's row or in a row of their own.
-- They were settled earlier, but the process did not learn of it. The steps skip them.
-- returns: as commit_events
SELECT o.attempt_id AS id FROM (SELECT :outcome_columns FROM json_each(:outcomes)) AS o
 WHERE o.kind <> 'release' AND (EXISTS (SELECT 1 FROM resthooks_attempt a
 WHERE a.tenant = o.tenant AND a.id = o.attempt_id) OR EXISTS (SELECT 1
 FROM resthooks_delivery d WHERE d.tenant = o.tenant AND d.id = o.id
 AND d.attempt_id = o.attempt_id));

-- fragment: outcome_rows
(SELECT :outcome_columns FROM json_each(:outcomes) WHERE coalesce(value ->> 'attempt_id',
 '') NOT IN (SELECT value FROM json_each(:known))) AS o;

-- fragment: ended
-- The delivery leaves the queue.
(o.kind = 'delivered' OR (o.kind IN ('failed', 'gone', 'disabled') AND q.lease = o.lease));

-- name: settle_stat
-- The last attempt's time and status code are combined into one number.
UPDATE resthooks_subscription_stat AS t SET delivered = t.delivered + s.delivered,
 failed = t.failed + s.failed,
 last_status_code = CASE WHEN s.last IS NULL THEN t.last_status_code ELSE s.last % 1000 END,
 last_attempt_at = max(t.last_attempt_at, coalesce(s.last / 1000, 0)),
 failing_since = CASE WHEN s.delivered > 0 THEN NULL
 WHEN s.last IS NULL THEN t.failing_since ELSE coalesce(t.failing_since, :clock) END,
 paused_until = CASE WHEN s.pause > 0 THEN max(t.paused_until, :clock + s.pause)
 ELSE t.paused_until END
 FROM (SELECT o.tenant AS tenant, o.subscription_id AS subscription_id,
 sum(o.kind = 'delivered') AS delivered,
 sum(o.kind IN ('failed', 'gone', 'disabled')) AS failed,
 max(CASE WHEN o.kind <> 'release' THEN o.started_at * 1000 + o.status_code END) AS last,
 max(o.pause) AS pause
 FROM :outcome_rows GROUP BY o.tenant, o.subscription_id) AS s
 WHERE t.tenant = s.tenant AND t.subscription_id = s.subscription_id;

-- fragment: stat_change
INSERT INTO resthooks_stat_change (tenant, subscription_id, hour, delivered, failed, cancelled,
 attempts, ms);

-- name: settle_count
-- Appends the changes for the statistics: new attempts, and states that will change in the log. It
-- runs before the log and the queue are changed.
:stat_change SELECT a.tenant, a.subscription_id, a.at / 3600000 * 3600000, sum(a.delivered),
 sum(a.failed), sum(a.cancelled), sum(a.attempts), :two_digits FROM (
 SELECT x.tenant, x.subscription_id, :uuid_ms AS at, 0 AS delivered, 0 AS failed, 0 AS cancelled,
 1 AS attempts, x.ms FROM (SELECT o.tenant, o.subscription_id, o.attempt_id AS id, o.ms
  FROM :outcome_rows WHERE o.kind <> 'release') AS x
 UNION ALL SELECT x.tenant, x.subscription_id, :uuid_ms, x.delivered - (x.earlier = 'delivered'),
 1 - x.delivered - (x.earlier = 'failed'), -(x.earlier = 'cancelled'), 0, x.ms
 FROM (SELECT o.tenant, o.subscription_id, o.id, o.ms, max(o.kind = 'delivered') AS delivered,
  coalesce(d.state, 'pending') AS earlier FROM :outcome_rows
  LEFT JOIN resthooks_delivery d ON d.tenant = o.tenant AND d.id = o.id
  WHERE o.kind <> 'release' AND coalesce(o.type, d.state) IS NOT NULL AND :leaves_queue
  GROUP BY o.tenant, o.id) AS x) AS a
 GROUP BY a.tenant, a.subscription_id, 3, 8;

-- name: settle_again
UPDATE resthooks_queue AS q SET lease = 0, due_at = :clock
 + CASE WHEN o.kind = 'release' OR q.tries >= 0 THEN o.delay ELSE 0 END,
 tries = q.tries + (o.kind <> 'release'),
 attempt_count = q.attempt_count + (o.kind <> 'release'),
 last_status_code = CASE o.kind WHEN 'release' THEN q.last_status_code ELSE o.status_code END
 FROM :outcome_rows WHERE q.tenant = o.tenant AND q.delivery_id = o.id
 AND (o.kind IN ('retry', 'release') OR (o.kind = 'failed' AND q.tries < 0))
 AND q.lease = o.lease;

-- fragment: leaves_queue
(o.kind = 'delivered' OR EXISTS (SELECT 1 FROM resthooks_queue q WHERE q.tenant = o.tenant
 AND q.delivery_id = o.id AND :ended));

-- name: settle_changed
-- Updates the deliveries that are in the log already: sent again, replayed, cancelled during the
-- attempt, or settled by another host as well.
UPDATE resthooks_delivery AS d SET state = CASE WHEN o.kind = 'delivered' THEN 'delivered'
 WHEN :leaves_queue THEN 'failed' ELSE d.state END,
 attempt_count = max(d.attempt_count, o.number), last_status_code = o.status_code
 FROM :outcome_rows WHERE o.kind <> 'release' AND d.tenant = o.tenant AND d.id = o.id;

-- name: settle_appended
-- Logs the deliveries that ended; a delivery that its first attempt delivered includes that
-- attempt. The type is NULL if the event is past retention; then nothing is logged.
INSERT INTO resthooks_delivery (tenant, id, event_id, subscription_id, type, state, attempt_count,
 last_status_code, attempt_id, started_at, ms, format, headers, answer, error, template,
 sent)
 SELECT o.tenant, o.id, o.event_id, o.subscription_id, o.type,
 CASE o.kind WHEN 'delivered' THEN 'delivered' ELSE 'failed' END, o.number, o.status_code,
 o.first ->> 'attempt_id', o.first ->> 'started_at', o.first ->> 'ms', o.first ->> 'format',
 o.first ->> 'headers', o.first ->> 'answer', o.first ->> 'error', o.first ->> 'template',
 o.first ->> 'sent'
 FROM :outcome_rows WHERE o.kind <> 'release' AND o.type IS NOT NULL AND :leaves_queue
 ORDER BY o.kind, o.number DESC ON CONFLICT DO NOTHING;

-- name: settle_attempts
-- Logs the attempts that are not part of a delivery's row.
INSERT INTO resthooks_attempt
 (tenant, id, delivery_id, number, started_at, ms, status_code, format, headers, answer,
 error, template, sent)
 SELECT o.tenant, o.attempt_id, o.id, o.number, o.started_at, o.ms, o.status_code, o.format,
 o.headers, o.answer, o.error, o.template, o.sent FROM :outcome_rows WHERE o.kind <> 'release'
 AND NOT EXISTS (SELECT 1 FROM resthooks_delivery d WHERE d.tenant = o.tenant AND d.id = o.id
 AND d.attempt_id = o.attempt_id);

-- name: settle_wake
-- Wakes the next delivery of a key: the first one that does not end here, or, before a delivery
-- that is due again, an older one that was redelivered during the attempt.
UPDATE resthooks_queue SET lease = 0, due_at = :clock
 WHERE lease = -1 AND (tenant, delivery_id) IN (SELECT q.tenant, (SELECT f.delivery_id
 FROM resthooks_queue f WHERE f.tenant = q.tenant AND f.subscription_id = q.subscription_id
 AND f.order_key = q.order_key
 AND f.delivery_id NOT IN (SELECT value ->> 'id' FROM json_each(:outcomes)
 WHERE value ->> 'kind' NOT IN ('retry', 'release'))
 ORDER BY f.event_id, f.delivery_id LIMIT 1)
 FROM :outcome_rows JOIN resthooks_queue q ON q.tenant = o.tenant AND q.delivery_id = o.id
 WHERE q.order_key IS NOT NULL AND (o.kind IN ('retry', 'release') OR :ended));

-- name: settle_remove
DELETE FROM resthooks_queue WHERE (tenant, delivery_id) IN (SELECT q.tenant, q.delivery_id
 FROM :outcome_rows JOIN resthooks_queue q ON q.tenant = o.tenant AND q.delivery_id = o.id
 WHERE :ended);

-- name: settle_subscription
-- returns: as settle
UPDATE resthooks_subscription AS s SET state = e.kind, state_reason = e.reason,
 updated_at = :clock, revision = s.revision + 1
 FROM (SELECT o.tenant AS tenant, o.subscription_id AS subscription_id,
 max(o.kind) AS kind, o.reason AS reason FROM :outcome_rows
 WHERE o.kind IN ('gone', 'disabled') GROUP BY o.tenant, o.subscription_id) AS e
 WHERE s.tenant = e.tenant AND s.id = e.subscription_id AND s.state = 'active'
 RETURNING tenant, id, state;

-- fragment: cancelled
-- A limited number of a subscription's deliveries.
(SELECT q.tenant, q.delivery_id FROM resthooks_queue q WHERE q.tenant = :tenant
 AND q.subscription_id = :subscription_id
 ORDER BY q.due_at, q.delivery_id LIMIT CAST(:limit AS integer));

-- name: cancel_delivery
-- Logs deliveries as cancelled; those that were sent again are in the log already. A delivery whose
-- event is past retention is not logged. cancel_queue then takes the same deliveries out of the
-- queue.
INSERT INTO resthooks_delivery AS d (tenant, id, event_id, subscription_id, type, state,
 attempt_count, last_status_code) SELECT c.tenant, c.delivery_id, c.event_id, c.subscription_id,
 c.type, 'cancelled', c.attempt_count, c.last_status_code FROM (SELECT q.*,
 coalesce((SELECT e.type FROM resthooks_event e WHERE e.tenant = q.tenant AND e.id = q.event_id),
 (SELECT l.type FROM resthooks_delivery l WHERE l.tenant = q.tenant
 AND l.id = q.delivery_id)) AS type FROM resthooks_queue q
 WHERE (q.tenant, q.delivery_id) IN :cancelled) AS c WHERE c.type IS NOT NULL
 ON CONFLICT (tenant, id) DO UPDATE SET state = 'cancelled',
 attempt_count = max(d.attempt_count, excluded.attempt_count),
 last_status_code = CASE WHEN excluded.attempt_count > d.attempt_count
 THEN excluded.last_status_code ELSE d.last_status_code END WHERE d.state = 'pending';

-- name: cancel_count
-- Appends to the statistics the deliveries that cancel_delivery will log.
:stat_change SELECT c.tenant, c.subscription_id, c.at / 3600000 * 3600000, 0, 0, count(*), 0, 0
 FROM (SELECT x.tenant, x.subscription_id, :uuid_ms AS at FROM (SELECT q.tenant,
 q.subscription_id, q.delivery_id AS id FROM resthooks_queue q
 LEFT JOIN resthooks_delivery d ON d.tenant = q.tenant AND d.id = q.delivery_id
 WHERE (q.tenant, q.delivery_id) IN :cancelled AND (d.state = 'pending' OR (d.id IS NULL
 AND EXISTS (SELECT 1 FROM resthooks_event e WHERE e.tenant = q.tenant AND e.id = q.event_id))))
 AS x) AS c GROUP BY 1, 2, 3;

-- name: cancel_queue
DELETE FROM resthooks_queue WHERE (tenant, delivery_id) IN :cancelled;

-- name: release
-- Gives back all leases of a process, so that their deliveries are due now.
UPDATE resthooks_queue SET lease = 0, due_at = :clock WHERE lease = CAST(:lease AS integer);
