/* Licensed under the Apache License, Version 2.0: see LICENSE. */
#include "rh_signature.h"

#include <apr_base64.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>

#define PREFIX "whsec_"
#define PREFIX_LEN 6
#define NEW_SECRET_LEN 32
#define MIN_SECRET_LEN 24
#define MAX_SECRET_LEN 64
/** Base64 of MAX_SECRET_LEN bytes, padded, with its NUL. */
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
 * Decode canonical base64 (RFC 4648 §4; padding may be left out, unused bits must be zero).
 * @return the number of bytes, -1 for anything else or too long
 */
static int decode(const char *text, unsigned char key[MAX_SECRET_LEN])
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

static int secret_key(const char *secret, unsigned char key[MAX_SECRET_LEN])
{
    int len;

    if (!secret || strncmp(secret, PREFIX, PREFIX_LEN) != 0 ||
        strlen(secret) >= PREFIX_LEN + MAX_SECRET_TEXT) {
        return -1;
    }
    len = decode(secret + PREFIX_LEN, key);
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
    int len = secret_key(secret, key);

    OPENSSL_cleanse(key, sizeof(key));
    return len > 0;
}

apr_status_t rh_signature_make(apr_pool_t *pool, const char *secret, const char *id,
                               apr_int64_t timestamp, const char *body, apr_size_t len,
                               const char **signature)
{
    unsigned char key[MAX_SECRET_LEN], mac[EVP_MAX_MD_SIZE];
    unsigned int mac_len = 0;
    const char *head;
    char *signed_text, *text;
    apr_size_t head_len;
    int key_len = secret_key(secret, key);
    bool done;

    if (key_len < 0) {
        return APR_EINVAL;
    }
    head = apr_psprintf(pool, "%s.%" APR_INT64_T_FMT ".", id, timestamp);
    head_len = strlen(head);
    signed_text = apr_palloc(pool, head_len + len);
    memcpy(signed_text, head, head_len);
    if (len) {
        memcpy(signed_text + head_len, body, len);
    }
    done = HMAC(EVP_sha256(), key, key_len, (const unsigned char *)signed_text, head_len + len, mac,
                &mac_len) != NULL;
    OPENSSL_cleanse(key, sizeof(key));
    if (!done || mac_len != HMAC_LEN) {
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
