-- Licensed under the Apache License, Version 2.0: see LICENSE.
-- Read and change subscriptions for the API.

-- name: subscription_lock
-- Locks the subscription and its deliveries against changes by other connections.
-- returns: locked
SELECT 1 AS locked FROM resthooks.subscription_stat
 WHERE tenant = :tenant AND subscription_id = :id::uuid FOR UPDATE;

-- name: tenant_lock
-- Lets no other process insert a subscription of the tenant until the end of the transaction.
-- returns: locked
SELECT 1 AS locked
 FROM pg_advisory_xact_lock(hashtextextended(:tenant, 3) # hashtextextended('subscriptions', 4));

-- name: subscription_insert
INSERT INTO resthooks.hook
 (tenant, id, target_url, format, in_order, rate_limit, state, state_reason, secret, base_url,
  options, created_at, updated_at)
 VALUES (:tenant, :id::uuid, :target_url, :format, :ordered::boolean,
  CAST(:rate_limit AS integer), :state, :state_reason, :secret, :base_url, :options,
  CAST(:created_at AS bigint), CAST(:updated_at AS bigint));

-- name: subscription_count
-- returns: count
SELECT count(*) AS count FROM resthooks.hook WHERE tenant = :tenant;

-- name: subscription_events_insert
-- Inserts the patterns, a JSON array, in their order.
INSERT INTO resthooks.subscription_event (tenant, subscription_id, pattern, position)
 SELECT :tenant, :id::uuid, p.pattern, p.position
 FROM json_array_elements_text(:patterns::json) WITH ORDINALITY AS p(pattern, position);

-- name: subscription_patterns
-- returns: pattern
SELECT e.pattern FROM resthooks.subscription_event e
 WHERE e.tenant = :tenant AND e.subscription_id = :id::uuid;

-- name: subscription_events_delete
DELETE FROM resthooks.subscription_event WHERE tenant = :tenant AND subscription_id = :id::uuid;

-- name: subscription_stat_insert
INSERT INTO resthooks.subscription_stat (tenant, subscription_id) VALUES (:tenant, :id::uuid);

-- fragment: subscription_columns
-- The number of pending deliveries is counted up to a limit.
SELECT s.tenant, s.id, s.target_url,
 (SELECT json_agg(e.pattern ORDER BY e.position) FROM resthooks.subscription_event e
  WHERE e.tenant = s.tenant AND e.subscription_id = s.id) AS events,
 s.format, CASE WHEN s.in_order THEN 1 ELSE 0 END AS ordered, s.rate_limit, s.state,
 s.state_reason, s.secret, s.old_secret, s.old_secret_until, s.base_url, s.options, s.created_at,
 s.updated_at, s.revision,
 t.delivered, t.failed, t.last_status_code, t.last_attempt_at,
 (SELECT count(*) FROM (SELECT 1 FROM resthooks.queue q WHERE q.tenant = s.tenant
  AND q.subscription_id = s.id LIMIT 100000) AS pending) AS pending
 FROM resthooks.hook s LEFT JOIN resthooks.subscription_stat t
 ON t.tenant = s.tenant AND t.subscription_id = s.id;

-- name: subscription_get
-- returns: tenant, id, target_url, events, format, ordered, rate_limit, state,
--   state_reason, secret, old_secret, old_secret_until, base_url, options, created_at, updated_at,
--   revision, delivered, failed, last_status_code, last_attempt_at, pending
:subscription_columns WHERE s.tenant = :tenant AND s.id = :id::uuid;

-- name: subscription_list
-- Lists a page, newest first. If patterns is NULL, subscriptions of all types are listed; active is
-- 1, 0, or NULL for both.
-- returns: as subscription_get
:subscription_columns WHERE s.tenant = :tenant AND s.id < :before::uuid
 AND (:patterns::json IS NULL OR EXISTS (SELECT 1 FROM resthooks.subscription_event e
  WHERE e.tenant = s.tenant AND e.subscription_id = s.id
  AND e.pattern IN (SELECT json_array_elements_text(:patterns::json)) OFFSET 0))
 AND (:active::integer IS NULL OR (s.state = 'active') = (:active::integer = 1))
 ORDER BY s.id DESC LIMIT :limit::integer;

-- name: subscription_update
-- Changes nothing if the row's revision has changed in the meantime.
UPDATE resthooks.hook SET target_url = :target_url, format = :format,
 in_order = :ordered::boolean, rate_limit = CAST(:rate_limit AS integer), state = :state,
 state_reason = :state_reason, secret = :secret, old_secret = :old_secret,
 old_secret_until = CAST(:old_secret_until AS bigint), base_url = :base_url, options = :options,
 updated_at = CAST(:updated_at AS bigint), revision = revision + 1
 WHERE tenant = :tenant AND id = :id::uuid AND revision = CAST(:revision AS bigint);

-- name: subscription_state
-- returns: state, target_url
SELECT state, target_url FROM resthooks.hook WHERE tenant = :tenant AND id = :id::uuid;

-- name: subscription_stat_clear
-- Restarts the failing clock and ends the pause.
UPDATE resthooks.subscription_stat SET failing_since = NULL, paused_until = 0
 WHERE tenant = :tenant AND subscription_id = :id::uuid;

-- name: subscription_unpark
-- Wakes all deliveries that wait for another one of the same key. The lease is compared in a form
-- that no index supports.
UPDATE resthooks.queue SET lease = 0, due_at = 0
 WHERE tenant = :tenant AND subscription_id = :id::uuid AND lease IS NOT DISTINCT FROM -1;

-- name: subscription_delete
-- Revision 0 matches any revision.
DELETE FROM resthooks.hook WHERE tenant = :tenant AND id = :id::uuid
 AND (:revision = '0' OR revision = CAST(:revision AS bigint));
