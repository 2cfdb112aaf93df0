/* Licensed under the Apache License, Version 2.0: see LICENSE. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* dladdr */
#endif

#include "rh_db_library.h"

#include <dlfcn.h>
#include <string.h>

bool rh_db_library_find(const apr_dbd_driver_t *driver, const rh_symbol_t *symbols, int count)
{
    Dl_info object;
    void *handle, *address;
    bool found = true;

    if (dladdr(driver, &object) == 0 || !object.dli_fname) {
        return false;
    }
    handle = dlopen(object.dli_fname, RTLD_LAZY | RTLD_NOLOAD);
    if (!handle) {
        return false;
    }
    for (int i = 0; i < count && found; i++) {
        address = dlsym(handle, symbols[i].name);
        memcpy(symbols[i].address, &address, sizeof(address));
        found = address != NULL;
    }
    /* This only drops our reference; the driver stays loaded as long as httpd's configuration. */
    dlclose(handle);
    return found;
}
