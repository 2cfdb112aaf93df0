/* Licensed under the Apache License, Version 2.0: see LICENSE. */
#include "rh_pool.h"

#include <apr_allocator.h>
#include <apr_thread_mutex.h>
#include <pthread.h>

/** How much the allocator of passing pools keeps for the next ones, in bytes. */
#define PASSING_KEEP (8 * 1024 * 1024)

static apr_allocator_t *passing; /**< made once, never destroyed; NULL: that failed */

apr_status_t rh_root_pool_make(apr_pool_t **pool, apr_size_t keep, bool shared)
{
    apr_allocator_t *allocator;
    apr_status_t status = apr_allocator_create(&allocator);

    if (status != APR_SUCCESS) {
        return status;
    }
    apr_allocator_max_free_set(allocator, keep);
    status = apr_pool_create_unmanaged_ex(pool, NULL, allocator);
    if (status != APR_SUCCESS) {
        apr_allocator_destroy(allocator);
        return status;
    }
    apr_allocator_owner_set(allocator, *pool);
    if (shared) {
        apr_thread_mutex_t *mutex;

        status = apr_thread_mutex_create(&mutex, APR_THREAD_MUTEX_DEFAULT, *pool);
        if (status != APR_SUCCESS) {
            apr_pool_destroy(*pool);
            return status;
        }
        apr_allocator_mutex_set(allocator, mutex);
    }
    return APR_SUCCESS;
}

static void make_passing(void)
{
    apr_thread_mutex_t *mutex;
    apr_allocator_t *made;
    apr_pool_t *pool;

    if (apr_allocator_create(&made) != APR_SUCCESS) {
        return;
    }
    apr_allocator_max_free_set(made, PASSING_KEEP);
    if (apr_pool_create_unmanaged_ex(&pool, NULL, made) == APR_SUCCESS &&
        apr_thread_mutex_create(&mutex, APR_THREAD_MUTEX_DEFAULT, pool) == APR_SUCCESS) {
        apr_allocator_mutex_set(made, mutex);
        passing = made;
    }
}

apr_status_t rh_passing_pool_make(apr_pool_t **pool)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    pthread_once(&once, make_passing);
    return passing ? apr_pool_create_unmanaged_ex(pool, NULL, passing) : APR_ENOMEM;
}
