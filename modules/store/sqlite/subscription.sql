-- Licensed under the Apache License, Version 2.0: see LICENSE.
-- Read and change subscriptions for the API.

-- nothing: subscription_lock
-- No other transaction can write at the same time.

-- nothing: tenant_lock
-- No other transaction can write at the same time.

-- name: subscription_insert
INSERT INTO resthooks_subscription
 (tenant, id, target_url, format, in_order, rate_limit, state, state_reason, secret, base_url,
  options, created_at, updated_at)
 VALUES (:tenant, :id, :target_url, :format, :ordered,
  CAST(:rate_limit AS integer), :state, :state_reason, :secret, :base_url, :options,
  CAST(:created_at AS integer), CAST(:updated_at AS integer));

-- name: subscription_count
-- returns: count
SELECT count(*) AS count FROM resthooks_subscription WHERE tenant = :tenant;

-- name: subscription_events_insert
-- Inserts the patterns, a JSON array, in their order.
INSERT INTO resthooks_subscription_pattern (tenant, subscription_id, pattern, position)
 SELECT :tenant, :id, p.value, p.key + 1 FROM json_each(:patterns) AS p;

-- name: subscription_patterns
-- returns: pattern
SELECT e.pattern FROM resthooks_subscription_pattern e
 WHERE e.tenant = :tenant AND e.subscription_id = :id;

-- name: subscription_events_delete
DELETE FROM resthooks_subscription_pattern WHERE tenant = :tenant AND subscription_id = :id;

-- name: subscription_stat_insert
INSERT INTO resthooks_subscription_stat (tenant, subscription_id) VALUES (:tenant, :id);

-- fragment: subscription_columns
-- The number of pending deliveries is counted up to a limit.
SELECT s.tenant, s.id, s.target_url,
 (SELECT json_group_array(p.pattern) FROM (SELECT e.pattern FROM resthooks_subscription_pattern e
  INDEXED BY resthooks_subscription_event_subscription
  WHERE e.tenant = s.tenant AND e.subscription_id = s.id ORDER BY e.position) AS p) AS events,
 s.format, CASE WHEN s.in_order THEN 1 ELSE 0 END AS ordered, s.rate_limit, s.state,
 s.state_reason, s.secret, s.old_secret,
 s.old_secret_until, s.base_url, s.options, s.created_at,
 s.updated_at, s.revision,
 t.delivered, t.failed, t.last_status_code,
 t.last_attempt_at,
 (SELECT count(*) FROM (SELECT 1 FROM resthooks_queue q WHERE q.tenant = s.tenant
  AND q.subscription_id = s.id LIMIT 100000) AS pending) AS pending
 FROM resthooks_subscription s LEFT JOIN resthooks_subscription_stat t
 ON t.tenant = s.tenant AND t.subscription_id = s.id;

-- name: subscription_get
-- returns: tenant, id, target_url, events, format, ordered, rate_limit, state,
--   state_reason, secret, old_secret, old_secret_until, base_url, options, created_at, updated_at,
--   revision, delivered, failed, last_status_code, last_attempt_at, pending
:subscription_columns WHERE s.tenant = :tenant AND s.id = :id;

-- name: subscription_list
-- Lists a page, newest first. If patterns is NULL, subscriptions of all types are listed; active is
-- 1, 0, or NULL for both.
-- returns: as subscription_get
:subscription_columns WHERE s.tenant = :tenant AND s.id < :before
 AND (:patterns IS NULL OR EXISTS (SELECT 1 FROM resthooks_subscription_pattern e
  WHERE e.tenant = s.tenant AND e.subscription_id = s.id
  AND e.pattern IN (SELECT value FROM json_each(:patterns))))
 AND (:active IS NULL OR (s.state = 'active') = (:active = '1'))
 ORDER BY s.id DESC LIMIT CAST(:limit AS integer);

-- name: subscription_update
-- Changes nothing if the row's revision has changed in the meantime.
UPDATE resthooks_subscription SET target_url = :target_url, format = :format, in_order = :ordered,
 rate_limit = CAST(:rate_limit AS integer), state = :state, state_reason = :state_reason,
 secret = :secret, old_secret = :old_secret,
 old_secret_until = CAST(:old_secret_until AS integer), base_url = :base_url, options = :options,
 updated_at = CAST(:updated_at AS integer), revision = revision + 1
 WHERE tenant = :tenant AND id = :id AND revision = CAST(:revision AS integer);

-- name: subscription_state
-- returns: state, target_url
SELECT state, target_url FROM resthooks_subscription WHERE tenant = :tenant AND id = :id;

-- name: subscription_stat_clear
-- Restarts the failing clock and ends the pause.
UPDATE resthooks_subscription_stat SET failing_since = NULL, paused_until = 0
 WHERE tenant = :tenant AND subscription_id = :id;

-- name: subscription_unpark
-- Wakes all deliveries that wait for another one of the same key.
UPDATE resthooks_queue INDEXED BY resthooks_queue_due SET lease = 0, due_at = 0
 WHERE tenant = :tenant AND subscription_id = :id AND lease = -1;

-- name: subscription_delete
-- Revision 0 matches any revision.
DELETE FROM resthooks_subscription WHERE tenant = :tenant AND id = :id
 AND (:revision = '0' OR revision = CAST(:revision AS integer));
