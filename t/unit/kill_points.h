/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/**
 * @file kill_points.h
 * @brief Runs work on a database in a process of its own that ends with SIGKILL at a chosen
 * statement.
 *
 * A test that is linked with this has its own versions of the functions of apr_dbd through which
 * statements reach the database, and of send(), by which libpq sends them. They call the real ones
 * and count.
 */
#ifndef KILL_POINTS_H
#define KILL_POINTS_H

#include "rh_store_open.h"

typedef enum kill_point_t {
    KILL_AFTER_STATEMENT, /**< the database has responded */
    KILL_AFTER_SENDING /**< libpq has sent a statement or a part of it, and has read no response */
} kill_point_t;

/** The work. Its status matters only to the parent. */
typedef apr_status_t killed_work_t(rh_store_t *store, rh_queue_t *queue);

/**
 * Fork; the child connects, does the work, and is killed at the n-th point, counted from the work's
 * beginning. When this returns, the database has noticed the child's end.
 * @param watcher a connection to the same database
 * @return true: it was killed; false: the work has fewer points
 */
bool run_killed(const char *driver, const char *params, rh_db_source_t *watcher, kill_point_t point,
                int n, killed_work_t *work);

#endif
