/* Licensed under the Apache License, Version 2.0: see LICENSE. */
#include "rh_api_share.h"

#include <ap_mpm.h>
#include <apr_thread_mutex.h>
#include <httpd.h>

#include <string.h>

/** One call in progress; host NULL: a free row. */
typedef struct call_t {
    const void *host;
    const char *tenant;
} call_t;

static struct {
    apr_thread_mutex_t *mutex;
    call_t *calls; /**< guarded by mutex */
    int count;
} share;

void rh_api_share_init(apr_pool_t *pool)
{
    int threads = 0;

    if (ap_mpm_query(AP_MPMQ_MAX_THREADS, &threads) != APR_SUCCESS || threads < 1) {
        threads = 1;
    }
    share.count = threads;
    share.calls = apr_pcalloc(pool, (apr_size_t)threads * sizeof(*share.calls));
    apr_thread_mutex_create(&share.mutex, APR_THREAD_MUTEX_DEFAULT, pool);
}

/** Find a free row. @return -1: the tenant has used up its share. Called with the mutex held. */
static int find_row(const void *host, const char *tenant, int limit)
{
    int row = -1, active = 0;

    for (int i = 0; i < share.count; i++) {
        const call_t *call = &share.calls[i];

        if (!call->host) {
            row = i;
        } else if (call->host == host && strcmp(call->tenant, tenant) == 0) {
            active++;
        }
    }
    return active < limit ? row : -1;
}

int rh_api_share_enter(const void *host, const char *tenant, int limit)
{
    int row;

    apr_thread_mutex_lock(share.mutex);
    row = find_row(host, tenant, limit);
    if (row >= 0) {
        share.calls[row].host = host;
        share.calls[row].tenant = tenant;
    }
    apr_thread_mutex_unlock(share.mutex);
    return row;
}

void rh_api_share_leave(int token)
{
    apr_thread_mutex_lock(share.mutex);
    share.calls[token].host = NULL;
    apr_thread_mutex_unlock(share.mutex);
}
