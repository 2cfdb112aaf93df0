/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/**
 * @file rh_api_share.h
 * @brief Each tenant's share of a child's request threads: RestHooksTenantRequests.
 *
 * A tenant is one of a virtual host: equal names on two hosts share nothing. The table has a row
 * for each request thread, so it is never full. Thread-safe.
 */
#ifndef RH_API_SHARE_H
#define RH_API_SHARE_H

#include <apr_pools.h>
#include <stdbool.h>

/** Make this child's table. @param pool lives as long as the child */
void rh_api_share_init(apr_pool_t *pool);

/**
 * Count a call in. The strings must live until rh_api_share_leave.
 * @param host what tells virtual hosts apart; @param limit calls of one tenant at a time
 * @return a token for rh_api_share_leave, or -1: the tenant has `limit` calls already
 */
int rh_api_share_enter(const void *host, const char *tenant, int limit);

/** Count a call out again. @param token of rh_api_share_enter, not -1 */
void rh_api_share_leave(int token);

#endif
