/* Licensed under the Apache License, Version 2.0: see LICENSE. */
#include "rh_pool.h"

#include <apr_allocator.h>
#include <apr_thread_mutex.h>

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
