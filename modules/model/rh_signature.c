/* Licensed under the Apache License, Version 2.0: see LICENSE. */
#include "rh_signature.h"

#include <apr_base64.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/rand.h>

#define PREFIX "whsec_"
#define PREFIX_LEN (sizeof(PREFIX) - 1)
/** Lengths of secrets, in bytes before base64. */
#define NEW_SECRET_LEN 32
#define MIN_SECRET_LEN 24
#define MAX_SECRET_LEN 64
/** Size of a buffer for the base64 of MAX_SECRET_LEN bytes, padded, with its NUL. */
#define MAX_SECRET_TEXT 89
#define HMAC_LEN 32

static int base64_value(char c)
{
    if (c >= 'A' && c <= 'Z') {
        return c - 'A';
    }
    if (c >= 'a' && c <= 'z') {
        return c - 'a' + 26;
    }
    if (c >= '0' && c <= '9') {
        return c - '0' + 52;
    }
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/**
 * Decode canonical base64 (RFC 4648 section 4; padding is optional, unused bits must be zero).
 * @return the number of bytes, -1 if the text is invalid or too long
 */
static int decode_base64(const char *text, unsigned char key[MAX_SECRET_LEN])
{
    apr_size_t len = strlen(text), pads = 0;
    apr_uint32_t bits = 0;
    int held = 0, count = 0;

    while (len && pads < 2 && text[len - 1] == '=') {
        len--;
        pads++;
    }
    if ((pads && (len + pads) % 4 != 0) || len % 4 == 1) {
        return -1;
    }
    for (apr_size_t i = 0; i < len; i++) {
        int value = base64_value(text[i]);

        if (value < 0) {
            return -1;
        }
        bits = (bits << 6 | (apr_uint32_t)value) & 0xfff;
        held += 6;
        if (held >= 8) {
            if (count >= MAX_SECRET_LEN) {
                return -1;
            }
            held -= 8;
            key[count++] = (unsigned char)(bits >> held);
        }
    }
    return bits & ((1U << held) - 1) ? -1 : count;
}

/** Decode a secret. @return the length of its key, -1 for an invalid secret */
static int decode_secret(const char *secret, unsigned char key[MAX_SECRET_LEN])
{
    int len;

    if (!secret || strncmp(secret, PREFIX, PREFIX_LEN) != 0 ||
        strlen(secret) >= PREFIX_LEN + MAX_SECRET_TEXT) {
        return -1;
    }
    len = decode_base64(secret + PREFIX_LEN, key);
    return len >= MIN_SECRET_LEN ? len : -1;
}

apr_status_t rh_secret_make(apr_pool_t *pool, const char **secret)
{
    unsigned char key[NEW_SECRET_LEN];
    char *text = apr_palloc(pool, PREFIX_LEN + MAX_SECRET_TEXT);

    if (RAND_bytes(key, sizeof(key)) != 1) {
        return APR_EGENERAL;
    }
    memcpy(text, PREFIX, PREFIX_LEN);
    apr_base64_encode_binary(text + PREFIX_LEN, key, sizeof(key));
    OPENSSL_cleanse(key, sizeof(key));
    *secret = text;
    return APR_SUCCESS;
}

bool rh_secret_valid(const char *secret)
{
    unsigned char key[MAX_SECRET_LEN];
    int len = decode_secret(secret, key);

    OPENSSL_cleanse(key, sizeof(key));
    return len > 0;
}

/** Compute the HMAC-SHA256 of `head` followed by `body`, without joining them in memory. */
static bool compute_hmac(const unsigned char *key, int key_len, const char *head, const char *body,
                         apr_size_t len, unsigned char mac[HMAC_LEN])
{
    char digest[] = "SHA256";
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
        OSSL_PARAM_construct_end(),
    };
    EVP_MAC *algorithm = EVP_MAC_fetch(NULL, "HMAC", NULL);
    EVP_MAC_CTX *context = algorithm ? EVP_MAC_CTX_new(algorithm) : NULL;
    size_t mac_len = 0;
    bool done = context && EVP_MAC_init(context, key, (size_t)key_len, params) == 1 &&
                EVP_MAC_update(context, (const unsigned char *)head, strlen(head)) == 1 &&
                (len == 0 || EVP_MAC_update(context, (const unsigned char *)body, len) == 1) &&
                EVP_MAC_final(context, mac, &mac_len, HMAC_LEN) == 1 && mac_len == HMAC_LEN;

    EVP_MAC_CTX_free(context);
    EVP_MAC_free(algorithm);
    return done;
}

apr_status_t rh_signature_make(apr_pool_t *pool, const char *secret, const char *id,
                               apr_int64_t timestamp, const char *body, apr_size_t len,
                               const char **signature)
{
    unsigned char key[MAX_SECRET_LEN], mac[HMAC_LEN];
    int key_len = decode_secret(secret, key);
    char *text;
    bool done;

    if (key_len < 0) {
        return APR_EINVAL;
    }
    done = compute_hmac(key, key_len, apr_psprintf(pool, "%s.%" APR_INT64_T_FMT ".", id, timestamp),
                        body, len, mac);
    OPENSSL_cleanse(key, sizeof(key));
    if (!done) {
        return APR_EGENERAL;
    }
    text = apr_palloc(pool, 3 + (apr_size_t)apr_base64_encode_len(HMAC_LEN));
    memcpy(text, "v1,", 3);
    apr_base64_encode_binary(text + 3, mac, HMAC_LEN);
    *signature = text;
    return APR_SUCCESS;
}

bool rh_signature_verify(const char *secret, const char *header, const char *id,
                         apr_int64_t timestamp, const char *body, apr_size_t len,
                         apr_pool_t *scratch)
{
    const char *expected;
    apr_size_t expected_len;
    bool found = false;

    if (rh_signature_make(scratch, secret, id, timestamp, body, len, &expected) != APR_SUCCESS) {
        return false;
    }
    expected_len = strlen(expected);
    while (*header) {
        apr_size_t span = strcspn(header, " ");

        if (span == expected_len && CRYPTO_memcmp(header, expected, span) == 0) {
            found = true;
        }
        header += span;
        header += strspn(header, " ");
    }
    return found;
}
