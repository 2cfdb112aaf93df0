/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/* Functions of the expressions in RestHooksEvent, such as item('$.a'). */
#include "rh_rule.h"

#include "rh_text.h"

#include <apr_strings.h>
#include <string.h>

/** Names by rh_subject_t. */
#define SUBJECT_NAME(id, word, name) word,
static const char *const subject_names[RH_SUBJECT_COUNT] = {
    RH_DATA_SOURCES(SUBJECT_NAME)[RH_SUBJECT_ITEM] = "item", [RH_SUBJECT_CHANGED] = "changed"};

/** One call in an expression. */
typedef struct call_t {
    rh_subject_t subject;
    const rh_jsonpath_t *query;
} call_t;

static const char *const miss_names[] = {RH_MISSES(RH_ROW_NAME)};

static rh_rule_evaluate_t evaluate_call;
/* One thread reads the configuration. .htaccess files are read by others, but cannot have
 * RestHooksEvent. */
static rh_rule_t *parsed_rule;

const char *rh_miss_name(rh_miss_t reason)
{
    return miss_names[reason];
}

void rh_rule_functions_enter(rh_rule_t *rule)
{
    parsed_rule = rule;
}

static const char *call_function(ap_expr_eval_ctx_t *context, const void *data,
                                 const char *argument)
{
    const call_t *call = data;

    (void)argument;
    return evaluate_call(context->r, call->subject, call->query);
}

/** Note which bodies the rule needs because of a function. */
static void note_needs(rh_rule_t *rule, rh_subject_t subject)
{
    rule->by_item = true;
    if (subject == RH_SUBJECT_CHANGED) {
        rule->needs[RH_DATA_BEFORE] = rule->needs[RH_DATA_AFTER] = true;
    } else if (subject != RH_SUBJECT_ITEM) {
        rule->needs[subject] = true;
    }
}

static int refuse_call(const ap_expr_lookup_parms *parms, const char *reason)
{
    *parms->err = apr_psprintf(parms->ptemp, "%s(): %s", parms->name, reason);
    return !OK;
}

static int find_subject(const char *name)
{
    for (apr_size_t i = 0; i < RH_SUBJECT_COUNT; i++) {
        if (strcasecmp(name, subject_names[i]) == 0) {
            return (int)i;
        }
    }
    return -1;
}

static int look_up_function(ap_expr_lookup_parms *parms)
{
    int subject = parms->type == AP_EXPR_FUNC_STRING ? find_subject(parms->name) : -1;
    rh_jsonpath_error_t error = {0};
    rh_jsonpath_t *query;
    call_t *call;

    if (subject < 0) {
        return DECLINED;
    }
    if (!parsed_rule) {
        return refuse_call(parms, "only expressions of RestHooksEvent have this function");
    }
    if (!parms->arg) {
        return refuse_call(parms, "takes one query in quotes, like '$.status'");
    }
    if (rh_jsonpath_compile(parms->pool, parms->arg, strlen(parms->arg), &query, &error) !=
        APR_SUCCESS) {
        return refuse_call(parms, apr_psprintf(parms->ptemp, "%s at byte %" APR_SIZE_T_FMT,
                                               error.reason, error.offset));
    }
    if (!rh_jsonpath_is_singular(query)) {
        return refuse_call(parms, "takes a query that selects at most one value");
    }
    call = apr_palloc(parms->pool, sizeof(*call));
    call->subject = (rh_subject_t)subject;
    call->query = query;
    note_needs(parsed_rule, call->subject);
    *parms->func = (const void *)call_function;
    *parms->data = call;
    return OK;
}

void rh_rule_functions_register(rh_rule_evaluate_t evaluate)
{
    evaluate_call = evaluate;
    ap_hook_expr_lookup(look_up_function, NULL, NULL, APR_HOOK_MIDDLE);
}
