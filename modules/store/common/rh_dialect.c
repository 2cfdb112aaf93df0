/* Licensed under the Apache License, Version 2.0: see LICENSE. */
#include "rh_dialect.h"

#include <string.h>

const rh_dialect_t *const rh_dialects[] = {&rh_pgsql, &rh_sqlite, NULL};

const rh_dialect_t *rh_dialect_find(const char *driver)
{
    for (const rh_dialect_t *const *each = rh_dialects; *each; each++) {
        if (strcmp(driver, (*each)->driver) == 0) {
            return *each;
        }
    }
    return NULL;
}

const char *rh_dialect_drivers(apr_pool_t *pool, const char *between)
{
    const char *list = "";

    for (const rh_dialect_t *const *each = rh_dialects; *each; each++) {
        list = apr_pstrcat(pool, list, *list ? between : "", (*each)->driver, NULL);
    }
    return list;
}
