/* Licensed under the Apache License, Version 2.0: see LICENSE. */
#include "rh_http1.h"

#include <apr_general.h>
#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/** The result of reading a response, to be compared with another reading. */
typedef struct outcome_t {
    rh_http1_result_t result;
    rh_http1_t answer;
    apr_size_t total;
} outcome_t;

static void demand(bool condition)
{
    if (!condition) {
        abort();
    }
}

static bool same_text(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) == 0 : a == b;
}

/** After its end, a response does not change and accepts no more bytes. */
static void check_over(outcome_t *outcome)
{
    static const char more[] = "HTTP/1.1 500 X\r\nA: b\r\n\r\n";
    apr_size_t used = 1;

    if (outcome->result == RH_HTTP1_DONE || outcome->result == RH_HTTP1_BAD) {
        bool reusable = outcome->answer.reusable;

        demand(rh_http1_feed(&outcome->answer, more, sizeof(more), &used) == outcome->result);
        demand(used == 0 && rh_http1_end(&outcome->answer) == outcome->result);
        demand(outcome->answer.reusable == reusable);
    }
}

/** Read everything in pieces of `step` bytes, each in a block of its own size. */
static void read_answer(apr_pool_t *pool, const uint8_t *data, size_t size, size_t step,
                        bool tunnel, outcome_t *outcome)
{
    apr_size_t at = 0, used;

    outcome->result = RH_HTTP1_MORE;
    rh_http1_begin(&outcome->answer, pool, tunnel);
    while (outcome->result == RH_HTTP1_MORE && at < size) {
        apr_size_t len = size - at < step ? size - at : step;
        char *piece = malloc(len);

        demand(piece != NULL);
        memcpy(piece, data + at, len);
        outcome->result = rh_http1_feed(&outcome->answer, piece, len, &used);
        free(piece);
        demand(used <= len && (used == len || outcome->result != RH_HTTP1_MORE));
        at += used;
    }
    outcome->total = at;
    if (outcome->result == RH_HTTP1_MORE) {
        outcome->result = rh_http1_end(&outcome->answer);
        demand(outcome->result == RH_HTTP1_DONE || outcome->result == RH_HTTP1_CUT);
    }
    check_over(outcome);
}

/** Number of repeated bytes. */
#define TAIL 64

/** A response that never ends, because its last bytes are repeated, ends at the reader's limits. */
static void read_endless(apr_pool_t *pool, const uint8_t *data, size_t size)
{
    static char block[16384];
    size_t tail = size < TAIL ? size : 1 + (size_t)data[size / 2] % TAIL;
    apr_size_t most = RH_HTTP1_MAX_HEADER + 2 * RH_HTTP1_MAX_BODY + 2 * sizeof(block), used;
    rh_http1_result_t result;
    outcome_t outcome;

    rh_http1_begin(&outcome.answer, pool, false);
    rh_http1_keep(&outcome.answer, RH_HTTP1_MAX_BODY);
    result = rh_http1_feed(&outcome.answer, (const char *)data, size, &used);
    for (size_t i = 0; i < sizeof(block); i++) {
        block[i] = (char)data[size - tail + i % tail];
    }
    for (outcome.total = used; result == RH_HTTP1_MORE; outcome.total += used) {
        demand(outcome.total <= size + most);
        /* Only complete tails, so that one can follow another. */
        result = rh_http1_feed(&outcome.answer, block, sizeof(block) / tail * tail, &used);
    }
    outcome.result = result;
    demand(outcome.answer.body.len <= RH_HTTP1_MAX_BODY);
    demand(result == RH_HTTP1_DONE ? outcome.answer.header_done : outcome.answer.error != NULL);
    check_over(&outcome);
}

static void check(const outcome_t *outcome)
{
    const rh_http1_t *answer = &outcome->answer;
    const apr_array_header_t *fields = apr_table_elts(answer->headers);

    demand(answer->body.len <= RH_MAX_ANSWER && fields->nelts <= RH_HTTP1_MAX_FIELDS);
    demand(outcome->total <= RH_HTTP1_MAX_HEADER + RH_HTTP1_MAX_BODY + 32768 + 4096);
    if (outcome->result == RH_HTTP1_DONE) {
        demand(answer->header_done && answer->error == NULL);
        demand(answer->status_code >= 200 && answer->status_code <= 999);
    } else {
        demand(answer->error != NULL && !answer->reusable);
    }
    for (int i = 0; i < fields->nelts; i++) {
        const apr_table_entry_t *field = &APR_ARRAY_IDX(fields, i, apr_table_entry_t);

        demand(*field->key && !strpbrk(field->key, " \t\r\n:") && !strpbrk(field->val, "\r\n"));
    }
}

/** The result of reading a response must not depend on how the network divides it. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static int initialized;
    outcome_t whole, pieces;
    apr_pool_t *pool;

    if (!initialized) {
        apr_initialize();
        initialized = 1;
    }
    apr_pool_create(&pool, NULL);
    for (int tunnel = 0; tunnel < 2; tunnel++) {
        read_answer(pool, data, size, 32768, tunnel, &whole);
        check(&whole);
        read_answer(pool, data, size, size > 20000 ? 1021 : 1 + size % 3, tunnel, &pieces);
        check(&pieces);
        if (whole.answer.body_bytes >= RH_HTTP1_MAX_BODY) {
            continue; /* The position of an error may depend on the pieces. */
        }
        demand(whole.result == pieces.result);
        demand(whole.result == RH_HTTP1_BAD || whole.total == pieces.total);
        demand(same_text(whole.answer.error, pieces.answer.error) ||
               whole.answer.header_bytes > RH_HTTP1_MAX_HEADER);
        demand(whole.answer.status_code == pieces.answer.status_code);
        demand(whole.answer.reusable == pieces.answer.reusable);
        demand(whole.answer.body.len == pieces.answer.body.len);
        demand(whole.answer.body.len == 0 ||
               memcmp(whole.answer.body.data, pieces.answer.body.data, whole.answer.body.len) == 0);
        demand(apr_table_elts(whole.answer.headers)->nelts ==
               apr_table_elts(pieces.answer.headers)->nelts);
    }
    if (size) {
        read_endless(pool, data, size);
    }
    apr_pool_destroy(pool);
    return 0;
}
