/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/**
 * @file rh_gate.h
 * @brief Keeps connections from being used before the database and its tables fit this build.
 *
 * The parent opens the gate of each database at start. If the database is down, the next thread of
 * a child that gets a connection checks the tables and opens the gate for that child; until then no
 * connection can be acquired.
 */
#ifndef RH_GATE_H
#define RH_GATE_H

#include "rh_config.h"

typedef struct rh_gate_t rh_gate_t;

/** Make a closed gate, in `pool`. @param upgrade RestHooksSchema auto; @param name for the log */
rh_gate_t *rh_gate_make(apr_pool_t *pool, bool upgrade, const char *name, const rh_log_t *log);

/**
 * Check or upgrade the tables over `source`, and open the gate if they are current.
 * @param problem receives what is wrong
 * @return like rh_schema_ensure
 */
apr_status_t rh_gate_open(rh_gate_t *gate, rh_db_source_t *source, apr_pool_t *scratch,
                          const char **problem);

/**
 * Return why the gate is closed; NULL: it is open, or the database was unreachable. Thread-safe.
 */
const char *rh_gate_problem(const rh_gate_t *gate);

/**
 * Make a source that passes on `source`'s connections while the gate is open. As thread-safe as it.
 */
rh_db_source_t *rh_gate_source(apr_pool_t *pool, rh_gate_t *gate, rh_db_source_t *source);

#endif
