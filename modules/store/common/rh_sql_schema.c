/* Licensed under the Apache License, Version 2.0: see LICENSE. */
#include "rh_schema.h"
#include "rh_sql.h"

const rh_statement_t rh_sql_upgrades[RH_SCHEMA_VERSION - 1] = {
    {"upgrade_2",
     "ALTER TABLE resthooks.queue DROP CONSTRAINT queue_pkey, ADD PRIMARY KEY (delivery_id, "
     "tenant);"
     " DROP INDEX resthooks.queue_tenant_subscription_id_due_at_idx;"
     " CREATE INDEX queue_due ON resthooks.queue (tenant, subscription_id, due_at)"
     " WHERE subscription_id IS NOT NULL;"
     " CREATE INDEX queue_due_at ON resthooks.queue (due_at) WHERE lease >= -1;"
     " ALTER TABLE resthooks.attempt ADD COLUMN format text;"
     " UPDATE resthooks.schema_version SET version = 2, installed_at = now()",
     "CREATE INDEX resthooks_queue_due_at ON resthooks_queue (due_at);"
     " ALTER TABLE resthooks_attempt ADD COLUMN format text;"
     " UPDATE resthooks_schema_version SET version = 2"},
};
