-- Licensed under the Apache License, Version 2.0: see LICENSE.
-- Inspect the schema, and read settings that belong to the database.

-- name: schema_exists
-- returns: found
SELECT 1 AS found FROM sqlite_master WHERE name = 'resthooks_schema_version';

-- nothing: schema_lock
-- No other transaction can write at the same time.

-- nothing: schema_reach
-- Tables have no partitions.

-- name: schema_version
-- returns: version, read_only
SELECT max(version) AS version, 'off' AS read_only FROM resthooks_schema_version;

-- name: setting_get
-- returns: value
SELECT value FROM resthooks_setting WHERE name = :name;
