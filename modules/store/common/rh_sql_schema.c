/* Licensed under the Apache License, Version 2.0: see LICENSE. */
#include "rh_schema.h"
#include "rh_sql.h"

#define JOB_TABLE(S, INDEX, TENANT, UUID, NUMBER, END)                                             \
    " CREATE TABLE " S "job (tenant " TENANT " NOT NULL, id " UUID " NOT NULL,"                    \
    " kind text NOT NULL, subscription_id " UUID ", filter text NOT NULL, spec text NOT NULL,"     \
    " cursor " UUID " NOT NULL, state text NOT NULL DEFAULT 'running',"                            \
    " done " NUMBER " NOT NULL DEFAULT 0, total " NUMBER ", created_by text,"                      \
    " created_at " NUMBER " NOT NULL, updated_at " NUMBER                                          \
    " NOT NULL, PRIMARY KEY (tenant, id))" END "; CREATE INDEX " INDEX " ON " S                    \
    "job (updated_at) WHERE state = 'running';"

#define EXPANSION_TABLE(S, TENANT, UUID, NUMBER, END)                                              \
    " CREATE TABLE " S "expansion (tenant " TENANT " NOT NULL, event_id " UUID " NOT NULL,"        \
    " after_id " UUID " NOT NULL, until_id " UUID " NOT NULL, created_at " NUMBER                  \
    " NOT NULL, PRIMARY KEY (tenant, event_id))" END ";"

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
    {"upgrade_3",
     "CREATE TABLE resthooks.setting (name text PRIMARY KEY, value text NOT NULL);"
     " INSERT INTO resthooks.setting (name, value) VALUES"
     " ('hop_key', replace(gen_random_uuid()::text || gen_random_uuid()::text, '-', '')),"
     " ('database_id', gen_random_uuid()::text);"
     " ALTER TABLE resthooks.event ADD COLUMN previous text, ADD COLUMN reason text,"
     " ADD COLUMN hops integer NOT NULL DEFAULT 0;"
     " ALTER TABLE resthooks.attempt ADD COLUMN sent text;"
     " ALTER TABLE resthooks.subscription DROP CONSTRAINT IF EXISTS "
     "subscription_format_check;" EXPANSION_TABLE(
         "resthooks.", "text COLLATE \"C\"", "uuid", "bigint",
         " WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000)")
         JOB_TABLE("resthooks.", "job_running", "text COLLATE \"C\"", "uuid", "bigint",
                   "") " UPDATE resthooks.schema_version SET version = 3, installed_at = now()",
     /* A CHECK of SQLite's goes with its table alone; it fits the formats that there are. */
     "CREATE TABLE resthooks_setting (name text PRIMARY KEY, value text NOT NULL) WITHOUT ROWID;"
     " INSERT INTO resthooks_setting (name, value) VALUES"
     " ('hop_key', lower(hex(randomblob(32)))),"
     " ('database_id', lower(hex(randomblob(4)) || '-' || hex(randomblob(2)) || '-4'"
     " || substr(hex(randomblob(2)), 2) || '-a' || substr(hex(randomblob(2)), 2) || '-'"
     " || hex(randomblob(6))));"
     " ALTER TABLE resthooks_event ADD COLUMN previous text;"
     " ALTER TABLE resthooks_event ADD COLUMN reason text;"
     " ALTER TABLE resthooks_event ADD COLUMN hops integer NOT NULL DEFAULT 0;"
     " ALTER TABLE resthooks_attempt ADD COLUMN sent text;" EXPANSION_TABLE(
         "resthooks_", "text", "text", "integer", " WITHOUT ROWID")
         JOB_TABLE("resthooks_", "resthooks_job_running", "text", "text", "integer",
                   " WITHOUT ROWID") " UPDATE resthooks_schema_version SET version = 3"},
};

#define SETTING_GET(S) "SELECT value FROM " S "setting WHERE name = %s"

const rh_statement_t rh_sql_setting_get = {"setting_get", SETTING_GET("resthooks."),
                                           SETTING_GET("resthooks_")};
