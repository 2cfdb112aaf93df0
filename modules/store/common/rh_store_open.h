/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/**
 * @file rh_store_open.h
 * @brief How a store and a queue are made from sources of connections.
 */
#ifndef RH_STORE_OPEN_H
#define RH_STORE_OPEN_H

#include "rh_db.h"
#include "rh_store.h"

/** A store for the API: thread-safe as far as its source is. Lives in `pool`. */
rh_store_t *rh_store_make(apr_pool_t *pool, rh_db_source_t *source);

/** A queue over one source, for one thread at a time. Lives in `pool`. */
rh_queue_t *rh_queue_make(apr_pool_t *pool, rh_db_source_t *source);

#endif
