/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/**
 * @file rh_db_identity.h
 * @brief Which database connection parameters lead to, whatever else they say.
 *
 * Files that belong to a database are named by it. So parameters that may change for the same
 * database (password, user, time-outs, TLS, application name) do not count, nor do the order or the
 * form (keywords or a URI) of the parameters. A host that gets another name is another database as
 * far as parameters can tell.
 */
#ifndef RH_DB_IDENTITY_H
#define RH_DB_IDENTITY_H

#include <apr_pools.h>

/** Maximum length of the result of rh_db_file_name. */
#define RH_DB_FILE_NAME_LEN 40

/**
 * Describe the database of a driver's parameters, for people and for comparison: "pgsql
 * host=db.example port=5432 dbname=hooks schema=resthooks". It contains no secret. In `pool`.
 * @param driver of a dialect; @param params as in DBDParams
 */
const char *rh_db_identity(apr_pool_t *pool, const char *driver, const char *params);

/** Return a name for its files: the driver, "-" and 16 hexadecimal digits of the identity's
 * SHA-256. */
const char *rh_db_file_name(apr_pool_t *pool, const char *driver, const char *params);

#endif
