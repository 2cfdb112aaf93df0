/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/**
 * @file rh_schema_private.h
 * @brief Shared by what makes, upgrades and plans the upgrade of the tables.
 */
#ifndef RH_SCHEMA_PRIVATE_H
#define RH_SCHEMA_PRIVATE_H

#include "rh_schema.h"
#include "rh_store_private.h"

/** The scripts that change tables: at n - 2, the one that leads to version n. */
extern const rh_sql_name_t rh_schema_upgrades[RH_SCHEMA_VERSION - 1];

/** Run a statement without parameters that is not prepared: tables may be missing that it names.
 * @param rows may be NULL */
apr_status_t rh_schema_query(rh_db_t *db, rh_sql_name_t name, apr_pool_t *pool,
                             apr_array_header_t **rows);

/** Read the version of the tables. @param version receives it; 0 if they do not exist */
apr_status_t rh_schema_read_version(rh_db_t *db, apr_pool_t *pool, int *version);

/** Run the part of an upgrade that needs no table locks. If it fails, the upgrade itself makes up
 * for it. */
void rh_schema_prepare(rh_db_source_t *source, apr_pool_t *pool);

/** List what rh_schema_prepare runs. @param statements receives rows of `upgrade_4_before` */
apr_status_t rh_schema_list_before(rh_db_t *db, apr_pool_t *pool, apr_array_header_t **statements);

/** Lock the tables that an upgrade changes, in its transaction. @return APR_EAGAIN: others hold
 * locks on them */
apr_status_t rh_schema_lock(rh_db_t *db, apr_pool_t *pool);

/** Create the tables (version 0), or upgrade those of an earlier version. */
apr_status_t rh_schema_run_scripts(rh_db_t *db, int version, apr_pool_t *pool);

/** Fill in, in chunks, what an upgrade left out of existing rows. If that fails, some pending
 * deliveries show no status until their next attempt. */
void rh_schema_fill(rh_db_source_t *source, apr_pool_t *pool);

#endif
