/* Licensed under the Apache License, Version 2.0: see LICENSE. */
#include "rh_dialect.h"

#include <string.h>

static const rh_dialect_t *const dialects[] = {&rh_pgsql, &rh_sqlite};

const rh_dialect_t *rh_dialect_find(const char *driver)
{
    for (int i = 0; i < (int)RH_COUNT_OF(dialects); i++) {
        if (strcmp(driver, dialects[i]->driver) == 0) {
            return dialects[i];
        }
    }
    return NULL;
}
