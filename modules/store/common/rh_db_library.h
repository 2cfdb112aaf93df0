/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/**
 * @file rh_db_library.h
 * @brief Functions of the client library below a driver of apr_dbd.
 *
 * apr_dbd returns neither SQLSTATE nor extended result codes, but gives access to the library's own
 * connection. The functions that query it are looked up in the library that the driver has loaded:
 * linking another copy would be a new dependency, and could be another version.
 */
#ifndef RH_DB_LIBRARY_H
#define RH_DB_LIBRARY_H

#include "rh_db.h"

/** A function to look up, and the variable for its address. */
typedef struct rh_symbol_t {
    const char *name;
    void *address; /**< of the variable that receives it */
} rh_symbol_t;

/** Look up all symbols in a driver's object and the libraries that it is linked with. @return
 * false: one is missing */
bool rh_db_library_find(const apr_dbd_driver_t *driver, const rh_symbol_t *symbols, int count);

#endif
