/* Licensed under the Apache License, Version 2.0: see LICENSE. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "kill_points.h"

#include "store_databases.h"
#include "rh_store_private.h"

#include <dlfcn.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>

/** How long a database may need to notice that a client has gone. */
#define NOTICE_TIMEOUT apr_time_from_sec(60)

/** What the child's connections are called on PostgreSQL. */
#define DOOMED "doomed"

static kill_point_t armed;
static int points_left; /**< 0: none is armed */

static void pass_point(kill_point_t point)
{
    if (points_left > 0 && armed == point && --points_left == 0) {
        kill(getpid(), SIGKILL);
    }
}

/** Find the function that this program's own one of the same name hides. */
static void find_hidden(const char *name, void *function)
{
    void *found = dlsym(RTLD_NEXT, name);

    memcpy(function, &found, sizeof(found));
}

APU_DECLARE(int)
apr_dbd_query(const apr_dbd_driver_t *driver, apr_dbd_t *handle, int *nrows, const char *statement)
{
    static int (*real)(const apr_dbd_driver_t *, apr_dbd_t *, int *, const char *);
    int rc;

    if (!real) {
        find_hidden("apr_dbd_query", &real);
    }
    rc = real(driver, handle, nrows, statement);
    pass_point(KILL_AFTER_STATEMENT);
    return rc;
}

APU_DECLARE(int)
apr_dbd_select(const apr_dbd_driver_t *driver, apr_pool_t *in, apr_dbd_t *handle,
               apr_dbd_results_t **results, const char *statement, int random)
{
    static int (*real)(const apr_dbd_driver_t *, apr_pool_t *, apr_dbd_t *, apr_dbd_results_t **,
                       const char *, int);
    int rc;

    if (!real) {
        find_hidden("apr_dbd_select", &real);
    }
    rc = real(driver, in, handle, results, statement, random);
    pass_point(KILL_AFTER_STATEMENT);
    return rc;
}

APU_DECLARE(int)
apr_dbd_pquery(const apr_dbd_driver_t *driver, apr_pool_t *in, apr_dbd_t *handle, int *nrows,
               apr_dbd_prepared_t *statement, int nargs, const char **args)
{
    static int (*real)(const apr_dbd_driver_t *, apr_pool_t *, apr_dbd_t *, int *,
                       apr_dbd_prepared_t *, int, const char **);
    int rc;

    if (!real) {
        find_hidden("apr_dbd_pquery", &real);
    }
    rc = real(driver, in, handle, nrows, statement, nargs, args);
    pass_point(KILL_AFTER_STATEMENT);
    return rc;
}

APU_DECLARE(int)
apr_dbd_pselect(const apr_dbd_driver_t *driver, apr_pool_t *in, apr_dbd_t *handle,
                apr_dbd_results_t **results, apr_dbd_prepared_t *statement, int random, int nargs,
                const char **args)
{
    static int (*real)(const apr_dbd_driver_t *, apr_pool_t *, apr_dbd_t *, apr_dbd_results_t **,
                       apr_dbd_prepared_t *, int, int, const char **);
    int rc;

    if (!real) {
        find_hidden("apr_dbd_pselect", &real);
    }
    rc = real(driver, in, handle, results, statement, random, nargs, args);
    pass_point(KILL_AFTER_STATEMENT);
    return rc;
}

ssize_t send(int socket, const void *data, size_t len, int flags)
{
    static ssize_t (*real)(int, const void *, size_t, int);
    ssize_t sent;

    if (!real) {
        find_hidden("send", &real);
    }
    sent = real(socket, data, len, flags);
    pass_point(KILL_AFTER_SENDING);
    return sent;
}

/** The child: does the work, and ends without any of the parent's cleanups. */
static void do_work(const char *driver, const char *params, kill_point_t point, int n,
                    killed_work_t *work)
{
    static rh_log_t quiet;
    rh_db_source_t *source;
    rh_db_t *db;

    if (strcmp(driver, "pgsql") == 0) {
        params = apr_pstrcat(pool, params, " application_name=" DOOMED, NULL);
    }
    if (rh_db_source_dedicated(pool, driver, params, &quiet, &source) != APR_SUCCESS ||
        source->acquire(source, pool, &db) != APR_SUCCESS) {
        _exit(1);
    }
    source->release(source, db, false);
    armed = point;
    points_left = n;
    work(rh_store_make(pool, source), rh_queue_make(pool, source));
    _exit(0);
}

/** The server goes on with a statement whose client has gone, until it notices. */
static void wait_for_end(rh_db_source_t *watcher)
{
    apr_time_t until = apr_time_now() + NOTICE_TIMEOUT;
    apr_int64_t doomed;

    do {
        doomed = select_number(watcher,
                               "SELECT count(*) FROM pg_catalog.pg_stat_activity"
                               " WHERE application_name = '%s'"
                               " AND datname = pg_catalog.current_database()",
                               DOOMED);
    } while (doomed != 0 && apr_time_now() < until && (apr_sleep(2000), true));
    if (doomed != 0) {
        ok(false, "the server has ended the session of a client that is gone");
    }
}

bool run_killed(const char *driver, const char *params, rh_db_source_t *watcher, kill_point_t point,
                int n, killed_work_t *work)
{
    int status = 0;
    pid_t child;

    fflush(stdout);
    child = fork();
    if (child == 0) {
        do_work(driver, params, point, n, work);
    }
    if (child < 0 || waitpid(child, &status, 0) != child ||
        (WIFEXITED(status) && WEXITSTATUS(status) != 0) ||
        (WIFSIGNALED(status) && WTERMSIG(status) != SIGKILL)) {
        ok(false, "a process does its work until it is killed");
        return false;
    }
    if (strcmp(driver, "pgsql") == 0) {
        wait_for_end(watcher);
    }
    return WIFSIGNALED(status);
}
