/* Licensed under the Apache License, Version 2.0: see LICENSE. */
#include "rh_event.h"
#include "rh_json.h"

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

/** Spans lie in the text, in order; each value is JSON by itself and each name a string. */
static void walk(apr_pool_t *pool, const char *text, apr_size_t len)
{
    const char *previous_end = text;
    apr_size_t cursor = 0;
    rh_json_span_t span;

    while (rh_json_next(text, len, &cursor, &span)) {
        demand(span.value.data >= previous_end && span.value.data + span.value.len <= text + len);
        demand(rh_json_check(span.value.data, span.value.len, NULL) == APR_SUCCESS);
        if (span.name.data) {
            rh_bytes_t quoted = {span.name.data - 1, span.name.len + 2};

            demand(rh_json_check(quoted.data, quoted.len, NULL) == APR_SUCCESS);
            rh_json_string(pool, quoted);
        }
        if (*span.value.data == '"') {
            const char *decoded = rh_json_string(pool, span.value);

            if (decoded) {
                const char *again = rh_json_quote(pool, decoded, strlen(decoded));
                rh_bytes_t value = {again, strlen(again)};

                demand(rh_utf8_valid(decoded, strlen(decoded)));
                demand(strcmp(rh_json_string(pool, value), decoded) == 0);
            }
        }
        walk(pool, span.value.data, span.value.len);
        previous_end = span.value.data + span.value.len;
    }
}

/** JSON as a body of the API: scanner, walk, json-c and the reading of events must agree. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static int initialized;
    const char *text = (const char *)data;
    struct json_object *tree;
    apr_array_header_t *events;
    rh_json_error_t error = {NULL, 0};
    rh_problem_t *problem;
    apr_size_t len;
    apr_pool_t *pool;
    bool good, batch;

    if (!initialized) {
        apr_initialize();
        initialized = 1;
    }
    apr_pool_create(&pool, NULL);
    good = rh_json_check(text, size, &error) == APR_SUCCESS;
    if (good) {
        walk(pool, text, size);
    } else {
        demand(error.reason && error.offset <= size);
        rh_json_string(pool, (rh_bytes_t){text, size});
    }
    if (rh_json_parse(pool, text, size, &tree, &error) == APR_SUCCESS) {
        const char *printed = rh_json_text(pool, tree, &len);

        demand(good);
        demand(strlen(printed) == len);
    } else {
        demand(error.reason != NULL);
    }
    problem = rh_problem_make(pool);
    rh_event_read(text, size, size % 2 ? "tenant" : NULL, 1000, pool, &events, &batch, problem);
    if (!rh_problem_is(problem)) {
        demand(good && events->nelts > 0 && events->nelts <= RH_MAX_BATCH);
        for (int i = 0; i < events->nelts; i++) {
            const rh_event_t *event = APR_ARRAY_IDX(events, i, rh_event_t *);

            demand(event->id && event->tenant && event->type && event->data.len <= 1000);
            demand(rh_json_check(event->data.data, event->data.len, NULL) == APR_SUCCESS);
        }
    }
    rh_problem_text(problem, pool, &len);
    apr_pool_destroy(pool);
    return 0;
}
