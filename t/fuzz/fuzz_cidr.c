/* Licensed under the Apache License, Version 2.0: see LICENSE. */
#include "rh_egress.h"
#include "rh_special_ranges.h"

#include <apr_general.h>
#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void demand(bool condition)
{
    if (!condition) {
        abort();
    }
}

/** Make an address of up to 16 bytes: an IPv4 address of at most 4. */
static rh_address_t address_of(const uint8_t *data, size_t size)
{
    rh_address_t address;

    memset(&address, 0, sizeof(address));
    address.family = size <= 4 ? APR_INET : APR_INET6;
    memcpy(address.bytes, data, size < 16 ? size : 16);
    return address;
}

/** A rule as a line, then the bytes of an address: check what one rule changes and what not. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static int initialized;
    const uint8_t *newline = size ? memchr(data, '\n', size) : NULL;
    size_t length = newline ? (size_t)(newline - data) : size;
    size_t rest = newline ? size - length - 1 : 0;
    rh_egress_policy_t *allowing, *denying;
    rh_address_t address;
    const char *complaint;
    apr_pool_t *pool;
    char *rule;
    bool plain, allowed, denied;

    if (!initialized) {
        apr_initialize();
        initialized = 1;
    }
    apr_pool_create(&pool, NULL);
    rule = apr_pstrmemdup(pool, (const char *)data, length);
    allowing = rh_egress_make(pool);
    denying = rh_egress_make(pool);
    complaint = rh_egress_add(allowing, true, rule);
    demand((rh_egress_add(denying, false, rule) == NULL) == (complaint == NULL));
    address = address_of(newline ? newline + 1 : data, rest);
    plain = rh_egress_allows(NULL, "host.example", &address);
    allowed = rh_egress_allows(allowing, "host.example", &address);
    denied = !rh_egress_allows(denying, "host.example", &address);
    demand(!plain || allowed);
    demand(plain || denied);
    if (complaint) {
        demand(allowed == plain && denied == !plain);
    }
    if (rest == 4 && rh_special_ipv4(newline + 1)) {
        demand(!plain);
    }
    if (!complaint && *rule) {
        /* A rule that is a name allows or denies that name and nothing else. */
        demand(rh_egress_allows(allowing, rule, NULL) == rh_egress_denies_host(denying, rule));
        if (rh_egress_denies_host(denying, rule)) {
            demand(!rh_egress_allows(denying, rule, &address));
            demand(rh_egress_allows(allowing, rule, &address));
        }
    }
    apr_pool_destroy(pool);
    return 0;
}
