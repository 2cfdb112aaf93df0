/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/* Which subscriptions get an event. */
#include "rh_event_type.h"
#include "rh_matching.h"

#include "tap.h"

#include <apr_general.h>
#include <stdlib.h>

static apr_pool_t *pool;

static const struct {
    const char *pattern, *type;
    bool covers;
} cases[] = {
#include "matching_cases.inc"
};

static bool has_pattern(const apr_array_header_t *patterns, const char *pattern)
{
    for (int i = 0; i < patterns->nelts; i++) {
        if (strcmp(APR_ARRAY_IDX(patterns, i, const char *), pattern) == 0) {
            return true;
        }
    }
    return false;
}

static void test_patterns(void)
{
    for (apr_size_t i = 0; i < RH_COUNT_OF(cases); i++) {
        const char *pattern = cases[i].pattern, *type = cases[i].type;
        const char *verb = cases[i].covers ? "covers" : "does not cover", *low, *high;

        ok(rh_matching_covers(pattern, type) == cases[i].covers, "%s %s %s", pattern, verb, type);
        ok(has_pattern(rh_matching_patterns(pool, type), pattern) == cases[i].covers,
           "so says the list of patterns that cover %s", type);
        rh_matching_range(pool, pattern, &low, &high);
        ok((strcmp(type, low) >= 0 && strcmp(type, high) < 0) == cases[i].covers,
           "so says the range of %s", pattern);
    }
    is(apr_array_pstrcat(pool, rh_matching_patterns(pool, "a.b.c"), ' '), "a.b.c a.b.* a.* *",
       "the most specific pattern is first");
    is(apr_array_pstrcat(pool, rh_matching_patterns(pool, "x.y"), ' '), "x.y x.* *",
       "a short type has three patterns");
}

static void test_sending(void)
{
    rh_event_t event = {.source = RH_SOURCE_CAPTURE};
    static const char *const replayed[] = {"capture", "publish", "sql"};

    ok(rh_matching_sends(&event), "an event is sent");
    event.reason = "truncated";
    ok(rh_matching_sends(&event), "also if its data was truncated");
    event.reason = RH_REASON_HOPS;
    ok(!rh_matching_sends(&event), "but not if it is part of a loop");
    event = (rh_event_t){.source = RH_SOURCE_OBSERVED};
    ok(!rh_matching_sends(&event), "nor if a rule only observes");
    for (int i = 0; i < RH_SOURCE_COUNT; i++) {
        const char *name = rh_event_source_name((rh_event_source_t)i);
        rh_event_source_t parsed;

        ok(rh_matching_replays((rh_event_source_t)i) ==
               (rh_word_index(replayed, (int)RH_COUNT_OF(replayed), name) >= 0),
           "a replay knows whether to send events of source %s", name);
        ok(rh_event_source_parse(name, &parsed) && (int)parsed == i, "a source has one name");
    }
}

int main(void)
{
    apr_initialize();
    atexit(apr_terminate);
    apr_pool_create(&pool, NULL);
    test_patterns();
    test_sending();
    apr_pool_destroy(pool);
    return done_testing();
}
