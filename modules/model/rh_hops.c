/* Licensed under the Apache License, Version 2.0: see LICENSE. */
#include "rh_hops.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

/** Number of bytes of the HMAC that are sent, as hexadecimal digits. */
#define MAC_BYTES 16
/** Prefix of what is signed, so that the key gives other values for other purposes. */
#define PURPOSE "resthooks-hops-1:"
/** Maximum number of values of one field that are read. */
#define MAX_VALUES 16

/** Write a value, with its NUL. @return its length, 0: OpenSSL failed */
static int write_value(const unsigned char key[RH_HOP_KEY_BYTES], int hops,
                       char text[RH_HOPS_VALUE_BYTES])
{
    unsigned char mac[EVP_MAX_MD_SIZE];
    char signed_text[sizeof(PURPOSE) + 3];
    unsigned int mac_len = 0;
    int len = apr_snprintf(signed_text, sizeof(signed_text), PURPOSE "%d", hops), i;

    if (!HMAC(EVP_sha256(), key, RH_HOP_KEY_BYTES, (const unsigned char *)signed_text, (size_t)len,
              mac, &mac_len) ||
        mac_len < MAC_BYTES) {
        return 0;
    }
    len = apr_snprintf(text, RH_HOPS_VALUE_BYTES, "%d.", hops);
    for (i = 0; i < MAC_BYTES; i++) {
        len += apr_snprintf(text + len, 3, "%02x", mac[i]);
    }
    return len;
}

const char *rh_hops_make(apr_pool_t *pool, rh_hops_last_t *last,
                         const unsigned char key[RH_HOP_KEY_BYTES], int hops)
{
    hops = hops < RH_HOPS_MAX ? hops : RH_HOPS_MAX;
    if (last->hops != hops || memcmp(last->key, key, RH_HOP_KEY_BYTES) != 0) {
        last->hops = 0;
        if (write_value(key, hops, last->text) == 0) {
            return NULL;
        }
        memcpy(last->key, key, RH_HOP_KEY_BYTES);
        last->hops = hops;
    }
    return apr_pstrdup(pool, last->text);
}

/** Return the number in one value, 0: it is not genuine. */
static int read_value(const unsigned char key[RH_HOP_KEY_BYTES], const char *value, apr_size_t len)
{
    char expected[RH_HOPS_VALUE_BYTES];
    int hops = 0;
    apr_size_t i;

    for (i = 0; i < len && i < 3 && rh_is_digit(value[i]); i++) {
        hops = hops * 10 + (value[i] - '0');
    }
    if (hops == 0 || write_value(key, hops, expected) != (int)len ||
        CRYPTO_memcmp(expected, value, len) != 0) {
        return 0;
    }
    return hops;
}

int rh_hops_read(const unsigned char key[RH_HOP_KEY_BYTES], const char *value)
{
    int values, hops, most = 0;

    for (values = 0; value && *value && values < MAX_VALUES; values++) {
        apr_size_t len;

        value += strspn(value, " \t,");
        len = strcspn(value, " \t,");
        hops = read_value(key, value, len);
        most = hops > most ? hops : most;
        value += len;
    }
    return most;
}
