/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/**
 * @file rh_rule.h
 * @brief A capture rule, made from RestHooksEvent, and the functions of its expressions.
 */
#ifndef RH_RULE_H
#define RH_RULE_H

#include "rh_jsonpath.h"
#include "rh_regex_ends.h"

#include <ap_expr.h>
#include <ap_regex.h>

/** Sources of a captured event's data: (id, word of data=, name in the log). */
#define RH_DATA_SOURCES(X)                                                                         \
    X(RESPONSE, "response", "response")                                                            \
    X(REQUEST, "request", "request")                                                               \
    X(BEFORE, "before", "GET before")                                                              \
    X(AFTER, "after", "GET after")

#define RH_DATA_ID(id, word, name) RH_DATA_##id,
typedef enum { RH_DATA_SOURCES(RH_DATA_ID) RH_DATA_COUNT } rh_data_source_t;

/** One status or class of a rule: 201 is {201,201}, 2xx is {200,299}. */
typedef struct rh_status_range_t {
    int first, last;
} rh_status_range_t;

/** A value of each event: an expression, or a singular query on the item. Both NULL: not given. */
typedef struct rh_rule_value_t {
    ap_expr_info_t *expression;
    rh_jsonpath_t *query;
    const char *text; /**< as written */
} rh_rule_value_t;

/** A capture rule: one RestHooksEvent. */
typedef struct rh_rule_t {
    const char *type;
    apr_array_header_t *methods; /**< of const char *, upper case; extension methods allowed */
    const char *pattern;         /**< the regex as written, for the log */
    ap_regex_t *regex;
    rh_regex_ends_t ends;      /**< literal ends of what the regex matches; compared first */
    apr_array_header_t *names; /**< named groups, of const char *: "MATCH_TENANT" at its index; NULL
                                  where unnamed */
    apr_array_header_t *statuses; /**< of rh_status_range_t; default 2xx */
    rh_data_source_t data;
    rh_jsonpath_t *query;      /**< the part of the source that is the data; NULL: all of it */
    rh_jsonpath_t *each;       /**< within the data: an event for each node; NULL: one event */
    rh_rule_value_t key;       /**< not given: the group `key`, else the item's `id` */
    rh_rule_value_t id;        /**< the tenant's idempotency key; not given: none */
    rh_rule_value_t tenant;    /**< not given: the group `tenant`, or else RestHooksTenant */
    ap_expr_info_t *when;      /**< NULL: always */
    ap_expr_info_t *url;       /**< URL of internal GETs; NULL: the request's own */
    bool observe;              /**< matching requests are recorded and counted, but not sent */
    bool with_before;          /**< events have `previous` */
    bool unless_unchanged;     /**< no event if the item equals its earlier state */
    bool needs[RH_DATA_COUNT]; /**< bodies that the rule looks at */
    apr_uint32_t *warned;      /**< atomic: bits of rh_miss_t that this process has warned of */
    bool by_item;              /**< when= or tenant= look at bodies: judged per item, at the end */
} rh_rule_t;

/**
 * Why a request that a rule matches does not become an event: (id, name in metrics and the API).
 * status=, when= false, unless=unchanged, each= that selects nothing, no tenant, an expression that
 * failed.
 */
#define RH_MISSES(X)                                                                               \
    X(STATUS, "status")                                                                            \
    X(WHEN, "when")                                                                                \
    X(UNCHANGED, "unchanged")                                                                      \
    X(NO_ITEM, "no_item")                                                                          \
    X(NO_TENANT, "no_tenant")                                                                      \
    X(ERROR, "error")

#define RH_MISS_ID(id, name) RH_MISS_##id,
typedef enum { RH_MISSES(RH_MISS_ID) RH_MISS_COUNT } rh_miss_t;

/** The reason's name in metrics and the API. */
const char *rh_miss_name(rh_miss_t reason);

/** Functions of a rule's expressions: the subject that their query is run on. */
#define RH_SUBJECT_ID(id, word, name) RH_SUBJECT_##id = RH_DATA_##id,
typedef enum {
    RH_DATA_SOURCES(RH_SUBJECT_ID) RH_SUBJECT_ITEM,
    RH_SUBJECT_CHANGED, /**< before and after */
    RH_SUBJECT_COUNT
} rh_subject_t;

/**
 * Evaluate a function in a rule's expression.
 * @param r the request that the expression is evaluated for
 * @return a string in r's pool, "" if it has none
 */
typedef const char *(*rh_rule_evaluate_t)(request_rec *r, rh_subject_t subject,
                                          const rh_jsonpath_t *query);

/**
 * Register the functions item, request, response, before, after and changed with ap_expr. Only
 * options of RestHooksEvent may use them.
 */
void rh_rule_functions_register(rh_rule_evaluate_t evaluate);
/** Set the rule whose options are being parsed; NULL: none. For rh_rule_parse.c. */
void rh_rule_functions_enter(rh_rule_t *rule);

#endif
