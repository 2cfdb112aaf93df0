/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/**
 * @file rh_signature.h
 * @brief Standard Webhooks 1.0 signatures, "v1": HMAC-SHA256 over `id.timestamp.body`.
 */
#ifndef RH_SIGNATURE_H
#define RH_SIGNATURE_H

#include "rh_base.h"

/** Generate a secret in `pool`: "whsec_" + base64 of 32 random bytes (OpenSSL's CSPRNG).
 * @return APR_EGENERAL when the random source failed */
apr_status_t rh_secret_make(apr_pool_t *pool, const char **secret);

/** True for "whsec_" + canonical base64 of 24-64 bytes. */
bool rh_secret_valid(const char *secret);

/**
 * Sign a body with one secret: "v1,base64", in `pool`.
 * @param timestamp seconds since the epoch
 * @return APR_EINVAL for an invalid secret
 */
apr_status_t rh_signature_make(apr_pool_t *pool, const char *secret, const char *id,
                               apr_int64_t timestamp, const char *body, apr_size_t len,
                               const char **signature);

/** True if one of the space-separated signatures of a header was made with this secret. Compares in
 * constant time. */
bool rh_signature_verify(const char *secret, const char *header, const char *id,
                         apr_int64_t timestamp, const char *body, apr_size_t len,
                         apr_pool_t *scratch);

#endif
