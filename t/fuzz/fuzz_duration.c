/* Licensed under the Apache License, Version 2.0: see LICENSE. */
#include "rh_event.h"
#include "rh_event_type.h"
#include "rh_matching.h"
#include "rh_signature.h"
#include "rh_time.h"
#include "rh_uuid.h"

#include <apr_general.h>
#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void demand(bool condition)
{
    if (!condition) {
        abort();
    }
}

/** Short texts: durations, times, UUIDs, event types, names, secrets, traceparents. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static int initialized;
    const char *text = (const char *)data, *clean;
    apr_interval_time_t duration = 0;
    apr_time_t time = 0, again = 0;
    apr_pool_t *pool;

    if (!initialized) {
        apr_initialize();
        initialized = 1;
    }
    apr_pool_create(&pool, NULL);
    if (rh_duration_parse(text, size, true, &duration) == APR_SUCCESS) {
        demand(duration >= 0 || duration == RH_NEVER);
        demand(duration == RH_NEVER ||
               rh_duration_parse(text, size, false, &duration) == APR_SUCCESS);
    }
    if (rh_time_parse(text, size, &time) == APR_SUCCESS) {
        const char *formatted = rh_time_format(pool, time);

        demand(strlen(formatted) == RH_TIME_LEN);
        demand(rh_time_parse(formatted, RH_TIME_LEN, &again) == APR_SUCCESS);
        demand(apr_time_as_msec(again) == apr_time_as_msec(time));
    }
    if (rh_uuid_valid(text, size)) {
        char floor[RH_UUID_LEN + 1];

        rh_uuid_floor(rh_uuid_time(text), floor);
        demand(rh_uuid_valid(floor, RH_UUID_LEN) && strncmp(floor, text, 13) == 0);
    }
    if (rh_event_type_valid(text, size)) {
        const char *type = apr_pstrmemdup(pool, text, size);
        apr_array_header_t *patterns = rh_matching_patterns(pool, type);

        for (int i = 0; i < patterns->nelts; i++) {
            const char *pattern = APR_ARRAY_IDX(patterns, i, const char *);

            demand(rh_matching_covers(pattern, type));
            demand(rh_event_pattern_valid(pattern, strlen(pattern)) || size > RH_MAX_TYPE - 2);
        }
    }
    rh_event_pattern_valid(text, size);
    clean = rh_utf8_clean(pool, text, size, size / 2);
    demand(rh_utf8_valid(clean, strlen(clean)));
    clean = rh_utf8_clean(pool, text, size, size);
    demand(rh_utf8_valid(clean, strlen(clean)));
    demand(!rh_name_valid(text, size) || (strlen(clean) == size && memcmp(clean, text, size) == 0));
    rh_traceparent_valid(clean);
    rh_secret_valid(clean);
    apr_pool_destroy(pool);
    return 0;
}
