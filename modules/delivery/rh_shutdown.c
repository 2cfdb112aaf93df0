/* Licensed under the Apache License, Version 2.0: see LICENSE. */
#include "rh_shutdown.h"

#include "rh_atomic.h"

#include <apr_thread_cond.h>
#include <apr_thread_mutex.h>

/** Maximum sleep: a missed signal costs no more than this. */
#define MAX_SLEEP apr_time_from_sec(1)

struct rh_shutdown_t {
    void (*wake)(void *baton);
    void *baton;
    int begun;                /**< atomic */
    apr_time_t deadline;      /**< atomic; 0: none */
    int callers;              /**< atomic */
    int roles[RH_ROLE_COUNT]; /**< atomic */
    int threads;              /**< guarded by mutex */
    apr_thread_mutex_t *mutex;
    apr_thread_cond_t *ended;
};

apr_status_t rh_shutdown_make(apr_pool_t *pool, void (*wake)(void *baton), void *baton,
                              rh_shutdown_t **result)
{
    rh_shutdown_t *shutdown = apr_pcalloc(pool, sizeof(*shutdown));
    apr_status_t status = apr_thread_mutex_create(&shutdown->mutex, APR_THREAD_MUTEX_DEFAULT, pool);

    shutdown->wake = wake;
    shutdown->baton = baton;
    *result = shutdown;
    return status == APR_SUCCESS ? apr_thread_cond_create(&shutdown->ended, pool) : status;
}

void rh_shutdown_expect(rh_shutdown_t *shutdown, rh_role_t role, int count)
{
    rh_atomic_add(shutdown->roles[role], count);
    apr_thread_mutex_lock(shutdown->mutex);
    shutdown->threads += count;
    apr_thread_mutex_unlock(shutdown->mutex);
}

void rh_shutdown_leave(rh_shutdown_t *shutdown, rh_role_t role)
{
    if (rh_atomic_add(shutdown->roles[role], -1) == 0) {
        shutdown->wake(shutdown->baton);
    }
}

int rh_shutdown_left(const rh_shutdown_t *shutdown, rh_role_t role)
{
    return rh_atomic_get(shutdown->roles[role]);
}

void rh_shutdown_thread_ended(rh_shutdown_t *shutdown)
{
    apr_thread_mutex_lock(shutdown->mutex);
    shutdown->threads--;
    apr_thread_cond_signal(shutdown->ended);
    apr_thread_mutex_unlock(shutdown->mutex);
}

int rh_shutdown_wait(rh_shutdown_t *shutdown, apr_time_t until)
{
    apr_time_t now;
    int left;

    apr_thread_mutex_lock(shutdown->mutex);
    while (shutdown->threads > 0 && (now = apr_time_now()) < until) {
        apr_thread_cond_timedwait(shutdown->ended, shutdown->mutex,
                                  until - now < MAX_SLEEP ? until - now : MAX_SLEEP);
    }
    left = shutdown->threads;
    apr_thread_mutex_unlock(shutdown->mutex);
    return left;
}

void rh_shutdown_begin(rh_shutdown_t *shutdown)
{
    rh_atomic_set(shutdown->begun, 1);
    shutdown->wake(shutdown->baton);
}

bool rh_shutdown_begun(const rh_shutdown_t *shutdown)
{
    return rh_atomic_get(shutdown->begun) != 0;
}

void rh_shutdown_set_deadline(rh_shutdown_t *shutdown, apr_time_t deadline)
{
    rh_atomic_set(shutdown->deadline, deadline);
}

apr_time_t rh_shutdown_deadline(const rh_shutdown_t *shutdown)
{
    return rh_atomic_get(shutdown->deadline);
}

bool rh_shutdown_overdue(const rh_shutdown_t *shutdown, apr_interval_time_t extra)
{
    apr_time_t deadline = rh_shutdown_deadline(shutdown);

    return deadline != 0 && apr_time_now() >= deadline + extra;
}

void rh_shutdown_enter(rh_shutdown_t *shutdown)
{
    rh_atomic_add(shutdown->callers, 1);
}

void rh_shutdown_exit(rh_shutdown_t *shutdown)
{
    rh_atomic_add(shutdown->callers, -1);
}

int rh_shutdown_callers(const rh_shutdown_t *shutdown)
{
    return rh_atomic_get(shutdown->callers);
}
