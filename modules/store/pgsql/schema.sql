-- Licensed under the Apache License, Version 2.0: see LICENSE.
-- Inspect the schema, and read settings that belong to the database.

-- name: schema_exists
-- returns: found
SELECT 1 AS found WHERE pg_catalog.to_regclass('resthooks.schema_version') IS NOT NULL;

-- name: schema_lock
-- Keeps other hosts from creating or upgrading the tables at the same time, until the end of the
-- transaction.
-- returns: locked
SELECT pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtextextended('resthooks.schema', 0))
 AS locked;

-- name: schema_reach
-- Creates the partitions that are needed now, before the first event is stored.
-- returns: made
SELECT resthooks.ensure_partitions(NULL) AS made;

-- name: schema_version
-- read_only is "on" if no statement may change anything, for example on a standby.
-- returns: version, read_only
SELECT max(version) AS version,
 pg_catalog.current_setting('transaction_read_only') AS read_only FROM resthooks.schema_version;

-- name: setting_get
-- returns: value
SELECT value FROM resthooks.setting WHERE name = :name;
