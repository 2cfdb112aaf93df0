-- Licensed under the Apache License, Version 2.0: see LICENSE.
-- Upgrade the tables: each script turns one version into the next and records the new version. A
-- script is not changed once its version has been released.

-- script: upgrade_2
ALTER TABLE resthooks.queue DROP CONSTRAINT queue_pkey, ADD PRIMARY KEY (delivery_id, tenant);
DROP INDEX resthooks.queue_tenant_subscription_id_due_at_idx;
CREATE INDEX queue_due ON resthooks.queue (tenant, subscription_id, due_at)
 WHERE subscription_id IS NOT NULL;
CREATE INDEX queue_due_at ON resthooks.queue (due_at) WHERE lease >= -1;
ALTER TABLE resthooks.attempt ADD COLUMN format text;
UPDATE resthooks.schema_version SET version = 2, installed_at = now();

-- script: upgrade_3
CREATE TABLE resthooks.setting (name text PRIMARY KEY, value text NOT NULL);
INSERT INTO resthooks.setting (name, value) VALUES ('hop_key',
 replace(gen_random_uuid()::text || gen_random_uuid()::text, '-', '')), ('database_id',
 gen_random_uuid()::text);
ALTER TABLE resthooks.event ADD COLUMN previous text, ADD COLUMN reason text,
 ADD COLUMN hops integer NOT NULL DEFAULT 0;
ALTER TABLE resthooks.attempt ADD COLUMN sent text;
ALTER TABLE resthooks.subscription DROP CONSTRAINT IF EXISTS subscription_format_check;
CREATE TABLE resthooks.expansion (tenant text COLLATE "C" NOT NULL, event_id uuid NOT NULL,
 after_id uuid NOT NULL, until_id uuid NOT NULL, created_at bigint NOT NULL,
 PRIMARY KEY (tenant, event_id)) WITH (autovacuum_vacuum_scale_factor = 0,
 autovacuum_vacuum_threshold = 1000);
CREATE TABLE resthooks.job (tenant text COLLATE "C" NOT NULL, id uuid NOT NULL,
 kind text NOT NULL, subscription_id uuid, filter text NOT NULL, spec text NOT NULL,
 cursor uuid NOT NULL, state text NOT NULL DEFAULT 'running', done bigint NOT NULL DEFAULT 0,
 total bigint, created_by text, created_at bigint NOT NULL, updated_at bigint NOT NULL,
 PRIMARY KEY (tenant, id));
CREATE INDEX job_running ON resthooks.job (updated_at) WHERE state = 'running';
UPDATE resthooks.schema_version SET version = 3, installed_at = now();

-- name: upgrade_4_before
-- Returns statements to run one by one before the upgrade, while all hosts keep working. They drop
-- indexes that an earlier try left invalid, and create those of the upgrade, which then finds them;
-- the last one adds a column. The indexes of partitions have the names that PostgreSQL would choose.
-- returns: statement
SELECT s.statement FROM (SELECT 1 AS step, c.relname,
 format('DROP INDEX CONCURRENTLY IF EXISTS resthooks.%I', c.relname) AS statement
 FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid
 WHERE NOT i.indisvalid AND c.relkind = 'i'
 AND c.relnamespace = 'resthooks'::pg_catalog.regnamespace
 UNION ALL SELECT 2, 'queue', 'CREATE INDEX CONCURRENTLY IF NOT EXISTS queue_newest'
 ' ON resthooks.queue (tenant, delivery_id DESC NULLS LAST) WHERE event_id IS NOT NULL'
 UNION ALL SELECT 3, c.relname, format('CREATE INDEX CONCURRENTLY IF NOT EXISTS %I ON'
 ' resthooks.%I (tenant, id) WHERE state <> ''delivered''', c.relname || '_tenant_id_idx',
 c.relname) FROM pg_catalog.pg_partition_tree('resthooks.delivery') t
 JOIN pg_catalog.pg_class c ON c.oid = t.relid WHERE t.isleaf
 UNION ALL SELECT 4, 'subscription', 'DO $$ BEGIN SET LOCAL lock_timeout = ''300ms'';'
 ' ALTER TABLE resthooks.subscription ADD COLUMN IF NOT EXISTS options text NOT NULL'
 ' DEFAULT ''{}''; END $$') AS s ORDER BY s.step, s.relname;

-- fragment: options_of_columns
-- The options of a subscription, from columns that earlier versions have.
json_strip_nulls(json_build_object('description', nullif(s.description, ''), 'headers',
 nullif(s.headers, '{}')::json))::text;

-- fragment: options_differ
(s.description <> '' OR s.headers <> '{}' OR s.options <> '{}')
 AND s.options <> :options_of_columns;

-- name: upgrade_4_options
-- Fills in the options of a limited number of subscriptions before the upgrade. Hosts of earlier
-- versions do not know this column, so the upgrade fills in what they change in the meantime.
UPDATE resthooks.subscription s SET options = :options_of_columns
 WHERE s.ctid = ANY (ARRAY(SELECT s.ctid FROM resthooks.subscription s WHERE :options_differ
 LIMIT 2000 FOR UPDATE SKIP LOCKED));

-- script: upgrade_4
-- A host of an earlier version that is still running must not claim deliveries of this version: its
-- statements would lose the outcome of a delivery that has no row in the log yet. So
-- `subscription`, a table in earlier versions, is now a view. Its column `ordered`, which earlier
-- versions read to commit, to claim, and to send again, raises an error. Settling does not read it,
-- so deliveries in progress are settled. Version 2 keeps events in its spool only after errors that
-- contain certain words, and drops them after any other error; the message of
-- resthooks.refuse_earlier contains such words.
ALTER TABLE resthooks.subscription RENAME TO hook;
ALTER TABLE resthooks.hook RENAME COLUMN ordered TO in_order;
ALTER TABLE resthooks.hook ADD COLUMN IF NOT EXISTS options text NOT NULL DEFAULT '{}';
UPDATE resthooks.hook s SET options = :options_of_columns WHERE :options_differ;
ALTER TABLE resthooks.hook DROP COLUMN description, DROP COLUMN headers;
ALTER TABLE resthooks.delivery ADD COLUMN attempt_id uuid, ADD COLUMN started_at bigint,
 ADD COLUMN ms bigint, ADD COLUMN format text, ADD COLUMN headers text, ADD COLUMN answer text,
 ADD COLUMN error text, ADD COLUMN template uuid, ADD COLUMN sent text;
ALTER TABLE resthooks.attempt ADD COLUMN template uuid;
CREATE TABLE resthooks.sent_template (tenant text COLLATE "C" NOT NULL, id uuid NOT NULL,
 text text NOT NULL, seen_at bigint NOT NULL, PRIMARY KEY (tenant, id));
CREATE INDEX ON resthooks.sent_template (seen_at);
ALTER TABLE resthooks.queue ADD COLUMN last_status_code integer NOT NULL DEFAULT 0;
DO $$ DECLARE old name; BEGIN FOR old IN SELECT c.relname FROM pg_catalog.pg_index i
 JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid WHERE NOT i.indisvalid AND c.relkind = 'i'
 AND c.relnamespace = 'resthooks'::pg_catalog.regnamespace LOOP
 EXECUTE format('DROP INDEX resthooks.%I', old); END LOOP; END $$;
CREATE INDEX IF NOT EXISTS delivery_undelivered ON resthooks.delivery (tenant, id)
 WHERE state <> 'delivered';
CREATE INDEX IF NOT EXISTS queue_newest ON resthooks.queue (tenant, delivery_id DESC NULLS LAST)
 WHERE event_id IS NOT NULL;
CREATE TABLE resthooks.stat_hour (tenant text COLLATE "C" NOT NULL, subscription_id uuid NOT NULL,
 hour bigint NOT NULL, delivered bigint NOT NULL DEFAULT 0, failed bigint NOT NULL DEFAULT 0,
 cancelled bigint NOT NULL DEFAULT 0, durations text NOT NULL DEFAULT '{}',
 PRIMARY KEY (tenant, subscription_id, hour)) WITH (fillfactor = 50);
CREATE INDEX stat_hour_age ON resthooks.stat_hour (hour);
CREATE TABLE resthooks.stat_change (tenant text COLLATE "C" NOT NULL, subscription_id uuid NOT NULL,
 hour bigint NOT NULL, delivered integer NOT NULL, failed integer NOT NULL,
 cancelled integer NOT NULL, attempts integer NOT NULL, ms bigint NOT NULL)
 WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000,
 autovacuum_vacuum_insert_threshold = -1, autovacuum_vacuum_cost_delay = 0);
INSERT INTO resthooks.setting (name, value) SELECT 'stats_recount', h.next || ' ' || h.next || ' '
 FROM (SELECT (floor(extract(epoch FROM now()) / 3600)::bigint + 1) * 3600000 AS next) AS h;
UPDATE resthooks.schema_version SET version = 4, installed_at = now();

-- name: fill_4_end
-- Returns the last delivery of a chunk of the queue; fill_4 works through these chunks after the
-- upgrade.
-- returns: last
SELECT max(c.delivery_id::text) AS last FROM (SELECT q.delivery_id FROM resthooks.queue q
 WHERE q.delivery_id > :after::uuid ORDER BY q.delivery_id LIMIT 2000) AS c;

-- name: fill_4
-- Fills in the status code of a pending delivery's last attempt, which before version 4 was only in
-- the log. Locked rows are skipped: they are being settled, which writes the status code as well.
UPDATE resthooks.queue q SET last_status_code = d.last_status_code
 FROM (SELECT x.tenant, x.delivery_id FROM resthooks.queue x WHERE x.delivery_id > :after::uuid
 AND x.delivery_id <= :last::uuid AND x.attempt_count > 0 AND x.last_status_code = 0
 FOR UPDATE SKIP LOCKED) AS c JOIN resthooks.delivery d ON d.tenant = c.tenant
 AND d.id = c.delivery_id WHERE q.delivery_id = ANY (ARRAY[c.delivery_id])
 AND q.tenant IS NOT DISTINCT FROM c.tenant;

-- script: upgrade_patience
-- While a statement waits for a lock on a table, all later ones wait for it, so it must give up
-- soon.
SET LOCAL lock_timeout = '300ms';
SET LOCAL statement_timeout = '800ms';

-- script: upgrade_lock
-- Locks all tables that the upgrade changes at once, so that no other statement runs in the middle
-- of it.
LOCK TABLE resthooks.subscription, resthooks.queue, resthooks.event, resthooks.delivery,
 resthooks.attempt IN ACCESS EXCLUSIVE MODE;

-- script: upgrade_locked
SET LOCAL statement_timeout = '300s';

-- name: lock_holder
-- Returns the oldest transaction that holds a lock on one of the tables.
-- returns: process, program, seconds
SELECT a.pid AS process, a.application_name AS program,
 floor(extract(epoch FROM pg_catalog.clock_timestamp() - coalesce(a.xact_start,
 a.state_change)))::bigint AS seconds FROM pg_catalog.pg_stat_activity a
 WHERE a.pid <> pg_catalog.pg_backend_pid() AND EXISTS (SELECT 1 FROM pg_catalog.pg_locks l
 JOIN pg_catalog.pg_class c ON c.oid = l.relation
 JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
 WHERE l.pid = a.pid AND l.granted AND n.nspname = 'resthooks')
 ORDER BY a.xact_start NULLS LAST LIMIT 1;
