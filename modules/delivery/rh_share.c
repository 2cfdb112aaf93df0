/* Licensed under the Apache License, Version 2.0: see LICENSE. */
#include "rh_share.h"

/** Return how many of `slots` the classes from `class` on may hold together; at least 1. */
static int share_of(int slots, rh_endpoint_class_t class)
{
    static const int eighths[RH_ENDPOINT_CLASSES] = {
        [RH_ENDPOINT_GOOD] = 8,
        [RH_ENDPOINT_NEW] = 6,
        [RH_ENDPOINT_DOUBTFUL] = 5,
        [RH_ENDPOINT_FAILING] = 4,
    };
    int share = (int)((apr_int64_t)slots * eighths[class] / 8);

    return share > 0 ? share : 1;
}

int rh_share_held(const rh_usage_t *usage, rh_endpoint_class_t class)
{
    int i, held = 0;

    for (i = class; i < RH_ENDPOINT_CLASSES; i++) {
        held += usage->of[i];
    }
    return held;
}

int rh_share_missing(const rh_usage_t *all, const rh_usage_t *own, int slots,
                     rh_endpoint_class_t class)
{
    int i;

    for (i = class; i >= RH_ENDPOINT_GOOD; i--) {
        int left = share_of(slots, i) - rh_share_held(all, i);

        if (left <= 0 || (own && rh_share_held(own, i) >= RH_TENANT_SHARE * left)) {
            return i;
        }
    }
    return RH_SHARE_FREE;
}
