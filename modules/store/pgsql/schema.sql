-- Licensed under the Apache License, Version 2.0: see LICENSE.
-- The tables themselves, and settings that belong to the database.

-- name: schema_version
-- read_only is "on" where no statement may change anything: a standby, for example.
-- returns: version, read_only
SELECT max(version) AS version,
 pg_catalog.current_setting('transaction_read_only') AS read_only FROM resthooks.schema_version;

-- name: setting_get
-- returns: value
SELECT value FROM resthooks.setting WHERE name = :name;
