/* Licensed under the Apache License, Version 2.0: see LICENSE. */
#include "rh_spool_record.h"

#include <apr_general.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/** The body of a spool record: what decodes must encode to the same bytes again. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static int initialized;
    apr_pool_t *pool;
    rh_event_t event;

    if (!initialized) {
        apr_initialize();
        initialized = 1;
    }
    apr_pool_create(&pool, NULL);
    memset(&event, 0, sizeof(event));
    if (rh_spool_decode((const char *)data, size, pool, &event) == APR_SUCCESS) {
        apr_size_t len = rh_spool_record_size(&event);
        unsigned char *record = apr_palloc(pool, len);
        rh_event_t again;

        rh_spool_record_write(&event, record);
        memset(&again, 0, sizeof(again));
        if (rh_spool_decode((const char *)record + RH_SPOOL_HEAD, len - RH_SPOOL_HEAD, pool,
                            &again) != APR_SUCCESS ||
            strcmp(again.id, event.id) != 0 || again.data.len != event.data.len) {
            abort();
        }
    }
    apr_pool_destroy(pool);
    return 0;
}
