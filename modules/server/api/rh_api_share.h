/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/**
 * @file rh_api_share.h
 * @brief Each tenant's share of a child's request threads: RestHooksTenantRequests.
 *
 * Tenants of different virtual hosts are different, even if their names are equal. The table has a
 * row for each request thread, so it never fills up. Thread-safe.
 */
#ifndef RH_API_SHARE_H
#define RH_API_SHARE_H

#include <apr_pools.h>
#include <stdbool.h>

/** Make this child's table. @param pool lives as long as the child */
void rh_api_share_init(apr_pool_t *pool);

/**
 * Count a call that begins. The strings must live until rh_api_share_leave.
 * @param host identifies the virtual host
 * @param limit maximum number of concurrent calls of one tenant
 * @return a token for rh_api_share_leave, or -1: the tenant has reached the limit
 */
int rh_api_share_enter(const void *host, const char *tenant, int limit);

/** Count a call that ends. @param token of rh_api_share_enter, not -1 */
void rh_api_share_leave(int token);

#endif
