/* Licensed under the Apache License, Version 2.0: see LICENSE. */
#include "rh_schema.h"
#include "rh_sql.h"

const rh_statement_t rh_sql_upgrades[RH_SCHEMA_VERSION - 1] = {
    {"upgrade_2",
     "CREATE INDEX queue_due_at ON resthooks.queue (due_at);"
     " ALTER TABLE resthooks.attempt ADD COLUMN format text;"
     " UPDATE resthooks.schema_version SET version = 2, installed_at = now()",
     "CREATE INDEX resthooks_queue_due_at ON resthooks_queue (due_at);"
     " ALTER TABLE resthooks_attempt ADD COLUMN format text;"
     " UPDATE resthooks_schema_version SET version = 2"},
};
