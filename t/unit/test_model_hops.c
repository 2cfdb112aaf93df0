/* Licensed under the Apache License, Version 2.0: see LICENSE. */
#include "rh_hops.h"

#include "tap.h"

#include <apr_general.h>

static const unsigned char key[RH_HOP_KEY_BYTES] = "0123456789abcdef0123456789abcde";
static const unsigned char other[RH_HOP_KEY_BYTES] = "0123456789abcdef0123456789abcdf";

static apr_pool_t *pool;

static const char *join(const char *first, const char *separator, const char *second)
{
    return apr_pstrcat(pool, first, separator, second, NULL);
}

static rh_hops_last_t last;

static const char *make(int hops)
{
    return rh_hops_make(pool, &last, key, hops);
}

static void test_last(void)
{
    const char *one = make(1), *foreign = rh_hops_make(pool, &last, other, 1);

    ok(strcmp(one, foreign) != 0, "with another key the value differs");
    is_int(rh_hops_read(other, foreign), 1, "it is that key's value");
    is(make(1), one, "with the first key it is the first value");
    is(make(1), one, "twice");
}

static void test_genuine(void)
{
    const char *one = make(1), *two = make(2), *most = make(RH_HOPS_MAX);

    is(one, "1.9c6cb9f8f942084d717addcd29b69434", "a value is the count and an HMAC of it");
    is_int(rh_hops_read(key, one), 1, "it is read again");
    is_int(rh_hops_read(key, two), 2, "so is another one");
    is_int(rh_hops_read(key, most), RH_HOPS_MAX, "so is the maximum");
    is(make(100000), most, "a larger count is written as the maximum");
    is_int(rh_hops_read(key, join(one, ", ", two)), 2, "of several values the largest counts");
    is_int(rh_hops_read(key, join(two, ",", one)), 2, "in any order");
    is_int(rh_hops_read(key, join("7.0000", " ,\t", one)), 1, "also beside forged ones");
    is_int(rh_hops_read(key, NULL), 0, "without the field there is no count");
}

static void test_forged(void)
{
    const char *one = make(1), *two = make(2);
    const char *garbage[] = {"",
                             "1",
                             "1.",
                             ".",
                             "0.9c6cb9f8f942084d717addcd29b69434",
                             "-1.9c6cb9f8f942084d717addcd29b69434",
                             "01.9c6cb9f8f942084d717addcd29b69434",
                             "2.9c6cb9f8f942084d717addcd29b69434",
                             "1.9C6CB9F8F942084D717ADDCD29B69434",
                             "1.9c6cb9f8f942084d717addcd29b6943",
                             "1.9c6cb9f8f942084d717addcd29b694340",
                             "1;9c6cb9f8f942084d717addcd29b69434",
                             "99999999999999999999",
                             ",,, ,"};
    char *changed;

    for (size_t i = 0; i < sizeof(garbage) / sizeof(garbage[0]); i++) {
        ok(rh_hops_read(key, garbage[i]) == 0, "\"%s\" is not genuine", garbage[i]);
    }
    is_int(rh_hops_read(other, one), 0, "nor is a value that was made with another key");
    is_int(rh_hops_read(key, join("3", "", strchr(two, '.'))), 0, "a count can't be raised");
    is_int(rh_hops_read(key, join("1", "", strchr(two, '.'))), 0, "or lowered");
    for (size_t i = 0; i < strlen(two); i++) {
        changed = apr_pstrdup(pool, two);
        changed[i] ^= 1;
        if (rh_hops_read(key, changed) != 0) {
            ok(false, "a changed byte at %d makes it invalid", (int)i);
        }
    }
    changed = apr_palloc(pool, 100001);
    memset(changed, '1', 100000);
    changed[100000] = '\0';
    is_int(rh_hops_read(key, changed), 0, "a long value is not genuine");
}

/** A field with very many values must not cost much. */
static void test_many_values(void)
{
    const char *value = "1.x";

    for (int i = 0; i < 15; i++) {
        value = join(value, ",", "1.x");
    }
    is_int(rh_hops_read(key, join(value, ",", make(1))), 0,
           "of a field with very many values only some are checked");
}

int main(void)
{
    apr_initialize();
    apr_pool_create(&pool, NULL);
    test_last();
    test_genuine();
    test_forged();
    test_many_values();
    apr_pool_destroy(pool);
    apr_terminate();
    return done_testing();
}
