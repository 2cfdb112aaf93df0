-- Licensed under the Apache License, Version 2.0: see LICENSE.
-- Scripts: each makes of the tables of one version those of the next, and says so in them.
-- A version that has been released is not changed any more.

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

-- script: upgrade_4
-- A host of an earlier version that is still running must not take what this version queues: its
-- statements would lose the outcome of a delivery that has no row in the log yet. So what they
-- know as the table `subscription` is a view now, in which the column that they need to commit, to
-- claim, or to send again raises an error. Settling does not need it, so what was begun is settled.
-- Version 2 keeps events in its spool only after errors with certain words, of which the message of
-- resthooks.refuse_earlier has some; after any other error it drops them.
ALTER TABLE resthooks.subscription RENAME TO hook;
ALTER TABLE resthooks.hook RENAME COLUMN ordered TO in_order;
ALTER TABLE resthooks.hook ADD COLUMN options text NOT NULL DEFAULT '{}';
UPDATE resthooks.hook SET options = json_strip_nulls(json_build_object('description',
 nullif(description, ''), 'headers', nullif(headers, '{}')::json))::text
 WHERE description <> '' OR headers <> '{}';
ALTER TABLE resthooks.hook DROP COLUMN description, DROP COLUMN headers;
ALTER TABLE resthooks.delivery ADD COLUMN attempt_id uuid, ADD COLUMN started_at bigint,
 ADD COLUMN ms bigint, ADD COLUMN format text, ADD COLUMN headers text, ADD COLUMN answer text,
 ADD COLUMN error text, ADD COLUMN sent text;
ALTER TABLE resthooks.queue ADD COLUMN last_status_code integer NOT NULL DEFAULT 0;
UPDATE resthooks.queue q SET last_status_code = d.last_status_code FROM resthooks.delivery d
 WHERE q.attempt_count > 0 AND d.tenant = q.tenant AND d.id = q.delivery_id;
CREATE INDEX delivery_undelivered ON resthooks.delivery (tenant, id) WHERE state <> 'delivered';
CREATE INDEX queue_newest ON resthooks.queue (tenant, delivery_id DESC NULLS LAST)
 WHERE event_id IS NOT NULL;
UPDATE resthooks.schema_version SET version = 4, installed_at = now();
