/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/* The order of a key's events while two writers commit. */
#include "rh_turns.h"
#include "tap.h"

#include <apr_general.h>

static apr_uint32_t place(const char *tenant, const char *key)
{
    rh_event_t event = {0};

    event.tenant = tenant;
    event.key = key;
    return rh_turns_stripe(&event);
}

int main(void)
{
    apr_uint32_t first[3], second[2], none[2] = {0, 0};
    rh_turns_t *turns;
    apr_pool_t *pool;

    apr_initialize();
    apr_pool_create(&pool, NULL);
    turns = rh_turns_make(pool);

    ok(place("acme", NULL) == 0, "an event without a key has no stripe");
    ok(place("acme", "1") != 0, "an event with a key has one");
    ok(place("acme", "1") == place("acme", "1"), "it is always the same");
    ok(place("acme", "1") != place("acme", "2"), "another key has another stripe");
    ok(place("acme", "1") != place("globex", "1"), "so has another tenant's key");

    first[0] = first[2] = place("acme", "1");
    first[1] = 0;
    second[0] = place("acme", "2");
    second[1] = place("acme", "1");
    rh_turns_take(turns, first, 3);
    ok(!rh_turns_free(turns, second, 2), "the stripe of a key in a commit is not free");
    ok(rh_turns_free(turns, second, 1), "others are");
    rh_turns_take(turns, none, 2);
    ok(rh_turns_free(turns, none, 2), "events without a key need no stripe");
    rh_turns_take(turns, second, 1);
    rh_turns_give(turns, first, 3);
    ok(!rh_turns_free(turns, second, 1), "each commit releases its own");
    ok(rh_turns_free(turns, first, 3), "then the stripes are free again");
    rh_turns_give(turns, second, 1);
    ok(rh_turns_free(turns, second, 2), "all of them are");

    apr_pool_destroy(pool);
    apr_terminate();
    return done_testing();
}
