/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/**
 * @file rh_share.h
 * @brief Who may take one of a limited number of slots: pure arithmetic.
 *
 * Slots are shared by class, so that targets that hang can't take all of them, and by tenant, so
 * that one tenant with many of those can't either:
 *
 *   failing targets            at most half of the slots
 *   these and doubtful ones    at most five eighths
 *   these and new ones         at most three quarters: an eighth is reserved for first attempts
 *   all                        all
 *
 * and of each of these pools a tenant may hold at most RH_TENANT_SHARE times what it leaves free.
 * So a single tenant gets seven eighths of a pool, and however many tenants push, the next one
 * finds something free: with k of them, each holds 7/(1+7k) and 1/(1+7k) is left. Slots are only
 * given back when attempts end, which depends on the targets; so a limit works only if it is
 * applied when a slot is taken.
 */
#ifndef RH_SHARE_H
#define RH_SHARE_H

#include "rh_base.h"

/** Classes of endpoints, from the most to the least trusted with slots. */
typedef enum {
    RH_ENDPOINT_GOOD,     /**< its last attempt got a response, and quickly */
    RH_ENDPOINT_NEW,      /**< not tried yet in this process */
    RH_ENDPOINT_DOUBTFUL, /**< slow, or failed lately */
    RH_ENDPOINT_FAILING,  /**< fails slowly, or again and again */
    RH_ENDPOINT_CLASSES   /**< number of classes; not a class itself */
} rh_endpoint_class_t;

/** A tenant may hold this many times the number of free slots. */
#define RH_TENANT_SHARE 7

/** Slots in use, by the class of the endpoint that took them. */
typedef struct rh_usage_t {
    int of[RH_ENDPOINT_CLASSES];
} rh_usage_t;

/** Result of rh_share_missing if a slot may be taken. */
#define RH_SHARE_FREE (-1)

/** Return how many slots the classes from `class` on hold together. */
int rh_share_held(const rh_usage_t *usage, rh_endpoint_class_t class);

/**
 * Check whether `class` may take one more slot.
 * @param all slots held by all tenants
 * @param own slots held by this tenant, NULL: ignore the tenant
 * @return RH_SHARE_FREE, or the class whose pool is used up
 */
int rh_share_missing(const rh_usage_t *all, const rh_usage_t *own, int slots,
                     rh_endpoint_class_t class);

#endif
