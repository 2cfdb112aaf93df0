-- Licensed under the Apache License, Version 2.0: see LICENSE.
-- Upgrade the tables: each script turns one version into the next and records the new version. A
-- script is not changed once its version has been released.

-- script: upgrade_2
CREATE INDEX resthooks_queue_due_at ON resthooks_queue (due_at);
ALTER TABLE resthooks_attempt ADD COLUMN format text;
UPDATE resthooks_schema_version SET version = 2;

-- script: upgrade_3
-- SQLite can drop a CHECK only together with its table; the existing one allows all current
-- formats.
CREATE TABLE resthooks_setting (name text PRIMARY KEY, value text NOT NULL) WITHOUT ROWID;
INSERT INTO resthooks_setting (name, value) VALUES ('hop_key', lower(hex(randomblob(32)))),
 ('database_id', lower(hex(randomblob(4)) || '-' || hex(randomblob(2)) || '-4' ||
 substr(hex(randomblob(2)), 2) || '-a' || substr(hex(randomblob(2)),
 2) || '-' || hex(randomblob(6))));
ALTER TABLE resthooks_event ADD COLUMN previous text;
ALTER TABLE resthooks_event ADD COLUMN reason text;
ALTER TABLE resthooks_event ADD COLUMN hops integer NOT NULL DEFAULT 0;
ALTER TABLE resthooks_attempt ADD COLUMN sent text;
CREATE TABLE resthooks_expansion (tenant text NOT NULL, event_id text NOT NULL,
 after_id text NOT NULL, until_id text NOT NULL, created_at integer NOT NULL,
 PRIMARY KEY (tenant, event_id)) WITHOUT ROWID;
CREATE TABLE resthooks_job (tenant text NOT NULL, id text NOT NULL, kind text NOT NULL,
 subscription_id text, filter text NOT NULL, spec text NOT NULL, cursor text NOT NULL,
 state text NOT NULL DEFAULT 'running', done integer NOT NULL DEFAULT 0, total integer,
 created_by text, created_at integer NOT NULL, updated_at integer NOT NULL, PRIMARY KEY (tenant,
 id)) WITHOUT ROWID;
CREATE INDEX resthooks_job_running ON resthooks_job (updated_at) WHERE state = 'running';
UPDATE resthooks_schema_version SET version = 3;

-- script: upgrade_4
-- A host of an earlier version that is still running must not claim deliveries of this version: its
-- statements would lose the outcome of a delivery that has no row in the log yet. Its commits read
-- subscription_event, which is now a view of a column that does not exist, so they fail; its claims
-- fail because they read the column `ordered`. Settling needs neither, so deliveries in progress
-- are settled. Version 2 keeps events in its spool only after errors that contain certain words,
-- and drops them after any other error; the missing column's name contains such words. The view is
-- created last, because SQLite does not rename or drop columns while an invalid view exists.
ALTER TABLE resthooks_subscription RENAME COLUMN ordered TO in_order;
ALTER TABLE resthooks_subscription ADD COLUMN options text NOT NULL DEFAULT '{}';
UPDATE resthooks_subscription SET options = json_patch('{}', json_object('description',
 nullif(description, ''), 'headers', json(nullif(headers, '{}'))))
 WHERE description <> '' OR headers <> '{}';
ALTER TABLE resthooks_subscription DROP COLUMN description;
ALTER TABLE resthooks_subscription DROP COLUMN headers;
ALTER TABLE resthooks_delivery ADD COLUMN attempt_id text;
ALTER TABLE resthooks_delivery ADD COLUMN started_at integer;
ALTER TABLE resthooks_delivery ADD COLUMN ms integer;
ALTER TABLE resthooks_delivery ADD COLUMN format text;
ALTER TABLE resthooks_delivery ADD COLUMN headers text;
ALTER TABLE resthooks_delivery ADD COLUMN answer text;
ALTER TABLE resthooks_delivery ADD COLUMN error text;
ALTER TABLE resthooks_delivery ADD COLUMN template text;
ALTER TABLE resthooks_delivery ADD COLUMN sent text;
ALTER TABLE resthooks_attempt ADD COLUMN template text;
CREATE TABLE resthooks_sent_template (tenant text NOT NULL, id text NOT NULL, text text NOT NULL,
 seen_at integer NOT NULL, PRIMARY KEY (tenant, id)) WITHOUT ROWID;
CREATE INDEX resthooks_sent_template_age ON resthooks_sent_template (seen_at);
ALTER TABLE resthooks_queue ADD COLUMN last_status_code integer NOT NULL DEFAULT 0;
ALTER TABLE resthooks_subscription_event RENAME TO resthooks_subscription_pattern;
CREATE VIEW resthooks_subscription_event AS SELECT p.tenant, p.pattern,
 p."database is locked until this host has mod_resthooks 0.2" AS subscription_id, p.position
 FROM resthooks_subscription_pattern p;
CREATE INDEX resthooks_delivery_undelivered ON resthooks_delivery (tenant, id)
WHERE state <> 'delivered';
CREATE TABLE resthooks_stat_hour (tenant text NOT NULL, subscription_id text NOT NULL,
 hour integer NOT NULL, delivered integer NOT NULL DEFAULT 0, failed integer NOT NULL DEFAULT 0,
 cancelled integer NOT NULL DEFAULT 0, durations text NOT NULL DEFAULT '{}',
 PRIMARY KEY (tenant, subscription_id, hour)) WITHOUT ROWID;
CREATE INDEX resthooks_stat_hour_age ON resthooks_stat_hour (hour);
CREATE TABLE resthooks_stat_change (tenant text NOT NULL, subscription_id text NOT NULL,
 hour integer NOT NULL, delivered integer NOT NULL, failed integer NOT NULL,
 cancelled integer NOT NULL, attempts integer NOT NULL, ms integer NOT NULL);
INSERT INTO resthooks_setting (name, value) SELECT 'stats_recount', h.next || ' ' || h.next || ' '
 FROM (SELECT (CAST(strftime('%s', 'now') AS integer) / 3600 + 1) * 3600000 AS next) AS h;
UPDATE resthooks_schema_version SET version = 4;

-- name: fill_4_end
-- Returns the last delivery of a chunk of the queue; fill_4 works through these chunks after the
-- upgrade.
-- returns: last
SELECT max(c.delivery_id) AS last FROM (SELECT q.delivery_id FROM resthooks_queue q
 WHERE q.delivery_id > :after ORDER BY q.delivery_id LIMIT 2000) AS c;

-- name: fill_4
-- Fills in the status code of a pending delivery's last attempt, which before version 4 was only in
-- the log.
UPDATE resthooks_queue AS q SET last_status_code = d.last_status_code FROM resthooks_delivery d
 WHERE q.delivery_id > :after AND q.delivery_id <= :last AND q.attempt_count > 0
 AND q.last_status_code = 0 AND d.tenant = q.tenant AND d.id = q.delivery_id;
