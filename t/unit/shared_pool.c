/* Licensed under the Apache License, Version 2.0: see LICENSE. */
#include "shared_pool.h"

apr_pool_t *pool;
