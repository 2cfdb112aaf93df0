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
 * @return APR_SUCCESS; APR_EAGAIN: no database, or its tables are locked; APR_EMISMATCH: tables
 * missing, older (check only) or newer than this build; APR_EGENERAL
 */
apr_status_t rh_schema_ensure(rh_db_source_t *source, bool upgrade, apr_pool_t *pool,
                              const char **problem);

/** When a step of an upgrade runs. */
typedef enum rh_schema_phase_t {
    RH_SCHEMA_BEFORE, /**< first, while all hosts work */
    RH_SCHEMA_SWITCH, /**< with the tables locked */
    RH_SCHEMA_AFTER   /**< last, in chunks, while all hosts work */
} rh_schema_phase_t;

typedef struct rh_schema_step_t {
    rh_schema_phase_t phase;
    const char *text;             /**< SQL, perhaps only its beginning */
    apr_int64_t rows;             /**< rows that it reads or writes, at most a million; -1: none */
    apr_interval_time_t duration; /**< estimated duration */
} rh_schema_step_t;

typedef struct rh_schema_plan_t {
    int version;               /**< of the tables; 0: there are none */
    apr_array_header_t *steps; /**< of rh_schema_step_t */
} rh_schema_plan_t;

/** Find out what rh_schema_ensure would do to tables of an earlier version. Changes nothing. */
apr_status_t rh_schema_plan(rh_db_source_t *source, apr_pool_t *pool, rh_schema_plan_t *plan);

#endif
