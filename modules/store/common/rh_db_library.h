/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/**
 * @file rh_db_library.h
 * @brief Functions of the client library below a driver of apr_dbd.
 *
 * apr_dbd tells no SQLSTATE and no extended result code, but gives the library's own connection.
 * The functions to ask it are looked up in the very library that the driver has loaded: linking
 * another copy would be a new dependency, and could be another version.
 */
#ifndef RH_DB_LIBRARY_H
#define RH_DB_LIBRARY_H

#include "rh_db.h"

/** One function to look up, and where its address goes. */
typedef struct rh_symbol_t {
    const char *name;
    void *address; /**< of the variable that receives it */
} rh_symbol_t;

/** Look all symbols up in a driver's object and what that is linked with. @return false: one is
 * missing */
bool rh_db_library_find(const apr_dbd_driver_t *driver, const rh_symbol_t *symbols, int count);

#endif
