-- Licensed under the Apache License, Version 2.0: see LICENSE.
-- Keep jobs, which are replays and bulk redeliveries that run in chunks.

-- name: job_insert
INSERT INTO resthooks.job (tenant, id, kind, subscription_id, filter, spec, cursor, created_by,
 created_at, updated_at) VALUES (:tenant, :id::uuid, :kind, :subscription_id::uuid, :filter,
 :spec, :cursor::uuid, :created_by, CAST(:created_at AS bigint), CAST(:updated_at AS bigint));

-- fragment: job_columns
SELECT id, kind, subscription_id, filter, state, done, total, created_by, created_at,
 updated_at, spec, cursor, tenant;

-- name: job_get
-- returns: id, kind, subscription_id, filter, state, done, total, created_by, created_at,
--   updated_at, spec, cursor, tenant
:job_columns FROM resthooks.job WHERE tenant = :tenant AND id = :id::uuid;

-- name: job_list
-- returns: as job_get
:job_columns FROM resthooks.job WHERE tenant = :tenant AND id < :before::uuid
 ORDER BY id DESC LIMIT CAST(:limit AS integer);

-- name: job_cancel
UPDATE resthooks.job SET state = 'cancelled', updated_at = CAST(:now AS bigint)
 WHERE tenant = :tenant AND id = :id::uuid AND state = 'running';

-- name: job_next
-- Returns the job that has waited longest, so that jobs take turns. Its row stays locked until the
-- chunk and the new cursor are committed: a process that dies leaves the job unchanged.
-- returns: as job_get
:job_columns FROM resthooks.job WHERE state = 'running'
 ORDER BY updated_at LIMIT 1 FOR UPDATE SKIP LOCKED;

-- name: job_take
-- Does the same for the job with the given id.
-- returns: as job_get
:job_columns FROM resthooks.job WHERE tenant = :tenant AND id = :id::uuid
 AND state = 'running' FOR UPDATE SKIP LOCKED;

-- name: job_progress
UPDATE resthooks.job SET done = done + CAST(:done AS bigint), cursor = :cursor::uuid,
 state = :state, total = CASE WHEN :state = 'running' THEN total ELSE done + CAST(:done AS
 bigint) END, updated_at = CAST(:now AS bigint) WHERE tenant = :tenant AND id = :id::uuid;

-- name: job_old
DELETE FROM resthooks.job WHERE state <> 'running' AND updated_at < CAST(:before AS bigint);

-- name: job_chunk_end
-- Returns the event at which a chunk of a replay ends that begins with the event `lowest`. Returns
-- no row if the chunk is the last one.
-- returns: id
SELECT id FROM resthooks.event WHERE tenant = :tenant AND id >= :lowest::uuid
 AND id < :end::uuid ORDER BY id LIMIT 1 OFFSET 1000;

-- fragment: job_chunk
-- Starts from the events of a chunk, because each of them has few deliveries, while one
-- subscription may own all deliveries of the table.
FROM (SELECT x.tenant, x.id, x.key FROM resthooks.event x WHERE x.tenant = :tenant
 AND x.id >= :lowest::uuid AND x.id < :end::uuid) AS e CROSS JOIN LATERAL (SELECT y.*
 FROM resthooks.delivery y WHERE y.tenant = e.tenant AND y.event_id = e.id
 AND y.subscription_id = :subscription_id::uuid OFFSET 0) AS d
 JOIN resthooks.hook s ON s.tenant = :tenant AND s.id = :subscription_id::uuid
 WHERE d.state IN (SELECT json_array_elements_text(:states::json));

-- name: job_chunk_queue
INSERT INTO resthooks.queue (tenant, delivery_id, subscription_id, event_id, due_at,
 attempt_count, last_status_code, order_key) SELECT d.tenant, d.id, d.subscription_id, d.event_id,
 resthooks.now_ms(), d.attempt_count, d.last_status_code, CASE WHEN s.in_order THEN e.key END
 :job_chunk
 ON CONFLICT (tenant, delivery_id) DO NOTHING;

-- fragment: job_queued
(tenant, id) IN (SELECT d.tenant, d.id :job_chunk AND EXISTS (SELECT 1
 FROM resthooks.queue q WHERE q.tenant = d.tenant AND q.delivery_id = d.id OFFSET 0));

-- name: job_chunk_attempts
:only_attempt AND :job_queued ON CONFLICT DO NOTHING;

-- name: job_chunk_count
:counted_back AND :job_queued FOR UPDATE) AS c GROUP BY 1, 2, 3;

-- name: job_chunk_pending
:pending_again WHERE :job_queued;
