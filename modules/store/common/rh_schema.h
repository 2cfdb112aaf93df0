/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/**
 * @file rh_schema.h
 * @brief Creates, upgrades and checks the tables, in the parent before children connect.
 */
#ifndef RH_SCHEMA_H
#define RH_SCHEMA_H

#include "rh_db.h"

/** The version of the tables that this build needs. */
#define RH_SCHEMA_VERSION 4

/**
 * Bring the tables up to RH_SCHEMA_VERSION, all or nothing, guarded against other hosts doing the
 * same.
 * @param upgrade false: only check (RestHooksSchema check)
 * @param problem receives what is wrong, for the error log
 * @return APR_SUCCESS; APR_EAGAIN: no database; APR_EMISMATCH: tables missing, older (check only)
 * or newer than this build; APR_EGENERAL
 */
apr_status_t rh_schema_ensure(rh_db_source_t *source, bool upgrade, apr_pool_t *pool,
                              const char **problem);

#endif
