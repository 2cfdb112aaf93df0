/* Licensed under the Apache License, Version 2.0: see LICENSE. */
#include "rh_db_identity.h"

#include "rh_dialect.h"

#include <apr_strings.h>
#include <openssl/evp.h>

#include <string.h>

/** Number of bytes of the digest that a file's name contains. */
#define NAME_BYTES 8

const char *rh_db_identity(apr_pool_t *pool, const char *driver, const char *params)
{
    return rh_dialect_find(driver)->identify(pool, params);
}

const char *rh_db_file_name(apr_pool_t *pool, const char *driver, const char *params)
{
    const char *identity = rh_db_identity(pool, driver, params);
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned int len = 0;
    char hex[2 * NAME_BYTES + 1];

    if (EVP_Digest(identity, strlen(identity), digest, &len, EVP_sha256(), NULL) != 1 ||
        len < NAME_BYTES) {
        return apr_pstrcat(pool, driver, "-0000000000000000", NULL);
    }
    for (unsigned int i = 0; i < NAME_BYTES; i++) {
        apr_snprintf(hex + 2 * i, 3, "%02x", digest[i]);
    }
    return apr_pstrcat(pool, driver, "-", hex, NULL);
}
