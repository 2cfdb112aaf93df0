/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/* The arguments of RestHooksEvent: type methods regex [status=…] [data=…] [tenant=…] [when=…]
 * [observe]. */
#include "rh_config.h"

#include "rh_event_type.h"

#include <apr_lib.h>
#include <http_log.h>

APLOG_USE_MODULE(resthooks);

/** Maximum number of methods in one rule. */
#define MAX_METHODS 32

const char *rh_complaint(cmd_parms *cmd, const char *format, ...)
{
    va_list args;
    const char *text;

    va_start(args, format);
    text = apr_pvsprintf(cmd->pool, format, args);
    va_end(args);
    return apr_pstrcat(cmd->pool, cmd->cmd->name, ": ", text, NULL);
}

static const char *read_methods(cmd_parms *cmd, const char *list, rh_rule_t *rule)
{
    char *rest = apr_pstrdup(cmd->pool, list), *comma;

    rule->methods = apr_array_make(cmd->pool, 4, sizeof(const char *));
    for (; rest; rest = comma) {
        comma = strchr(rest, ',');
        if (comma) {
            *comma++ = '\0';
        }
        if (!rh_is_token(rh_bytes_of(rest))) {
            return rh_complaint(cmd, "\"%s\" is not a list of methods like PUT,PATCH", list);
        }
        if (rule->methods->nelts == MAX_METHODS) {
            return rh_complaint(cmd, "more than %d methods", MAX_METHODS);
        }
        ap_str_toupper(rest);
        APR_ARRAY_PUSH(rule->methods, const char *) = rest;
    }
    return NULL;
}

static const char *read_regex(cmd_parms *cmd, const char *pattern, rh_rule_t *rule)
{
    rule->pattern = pattern;
    rule->regex = ap_pregcomp(cmd->pool, pattern, AP_REG_EXTENDED);
    if (!rule->regex) {
        return rh_complaint(cmd, "\"%s\" is not a regular expression", pattern);
    }
    rule->names = apr_array_make(cmd->pool, 4, sizeof(const char *));
    ap_regname(rule->regex, rule->names, AP_REG_MATCH, 1);
    return NULL;
}

static bool status_parse(const char *text, rh_status_range_t *range)
{
    if (strlen(text) != 3 || text[0] < '1' || text[0] > '5') {
        return false;
    }
    if (apr_isdigit(text[1]) && apr_isdigit(text[2])) {
        range->first = range->last = (text[0] - '0') * 100 + (text[1] - '0') * 10 + (text[2] - '0');
        return true;
    }
    if (apr_tolower(text[1]) == 'x' && apr_tolower(text[2]) == 'x') {
        range->first = (text[0] - '0') * 100;
        range->last = range->first + 99;
        return true;
    }
    return false;
}

static const char *read_statuses(cmd_parms *cmd, const char *list, rh_rule_t *rule)
{
    char *rest = apr_pstrdup(cmd->temp_pool, list), *comma;
    rh_status_range_t range;

    rule->statuses = apr_array_make(cmd->pool, 2, sizeof(rh_status_range_t));
    for (; rest; rest = comma) {
        comma = strchr(rest, ',');
        if (comma) {
            *comma++ = '\0';
        }
        if (!status_parse(rest, &range)) {
            return rh_complaint(cmd, "status=%s is not a list like 200,201 or 2xx", list);
        }
        APR_ARRAY_PUSH(rule->statuses, rh_status_range_t) = range;
    }
    return NULL;
}

static const char *read_data(cmd_parms *cmd, const char *word, rh_rule_t *rule)
{
    static const char *const words[] = {
        [RH_DATA_RESPONSE] = "response",
        [RH_DATA_REQUEST] = "request",
        [RH_DATA_BEFORE] = "before",
        [RH_DATA_AFTER] = "after",
    };
    apr_size_t i;

    for (i = 0; i < sizeof(words) / sizeof(*words); i++) {
        if (!strcasecmp(word, words[i])) {
            rule->data = (rh_data_source_t)i;
            return NULL;
        }
    }
    return rh_complaint(cmd, "data=%s is none of response, request, before, after", word);
}

static const char *read_expression(cmd_parms *cmd, const char *option, const char *text,
                                   unsigned int flags, ap_expr_info_t **expression)
{
    const char *error = NULL;

    *expression = ap_expr_parse_cmd(cmd, text, flags, &error, NULL);
    return error ? rh_complaint(cmd, "%s=%s: %s", option, text, error) : NULL;
}

static const char *read_tenant(cmd_parms *cmd, const char *text, rh_rule_t *rule)
{
    return read_expression(cmd, "tenant", text, RH_EXPR_TEXT, &rule->tenant);
}

static const char *read_when(cmd_parms *cmd, const char *text, rh_rule_t *rule)
{
    return read_expression(cmd, "when", text, RH_EXPR_CONDITION, &rule->when);
}

static const struct option_t {
    const char *name;
    const char *(*read)(cmd_parms *cmd, const char *value, rh_rule_t *rule);
} options[] = {
    {"status", read_statuses},
    {"data", read_data},
    {"tenant", read_tenant},
    {"when", read_when},
};

#define OPTION_COUNT (sizeof(options) / sizeof(*options))

static const char *read_option(cmd_parms *cmd, const char *word, rh_rule_t *rule,
                               unsigned int *seen)
{
    const char *equals = strchr(word, '=');
    apr_size_t i, len = equals ? (apr_size_t)(equals - word) : 0;

    for (i = 0; i < OPTION_COUNT; i++) {
        if (len == strlen(options[i].name) && !strncasecmp(word, options[i].name, len)) {
            if (*seen & (1u << i)) {
                return rh_complaint(cmd, "%s= is given twice", options[i].name);
            }
            *seen |= 1u << i;
            return options[i].read(cmd, equals + 1, rule);
        }
    }
    if (!strcasecmp(word, "observe")) {
        rule->observe = true;
        return NULL;
    }
    return rh_complaint(cmd, "\"%s\" is none of status=, data=, tenant=, when=, observe", word);
}

const char *rh_rule_parse(cmd_parms *cmd, const char *args, rh_rule_t **result)
{
    rh_rule_t *rule = apr_pcalloc(cmd->pool, sizeof(*rule));
    const char *methods, *pattern, *complaint;
    unsigned int seen = 0;

    rule->type = ap_getword_conf(cmd->pool, &args);
    methods = ap_getword_conf(cmd->pool, &args);
    pattern = ap_getword_conf(cmd->pool, &args);
    if (!*pattern) {
        return rh_complaint(cmd, "needs an event type, methods and a regular expression");
    }
    if (!rh_event_type_valid(rule->type, strlen(rule->type))) {
        return rh_complaint(cmd, "\"%s\" is not an event type like employee.created", rule->type);
    }
    if ((complaint = read_methods(cmd, methods, rule)) != NULL ||
        (complaint = read_regex(cmd, pattern, rule)) != NULL) {
        return complaint;
    }
    while (*args) {
        complaint = read_option(cmd, ap_getword_conf(cmd->pool, &args), rule, &seen);
        if (complaint) {
            return complaint;
        }
    }
    if (!rule->statuses) {
        complaint = read_statuses(cmd, "2xx", rule);
    }
    *result = rule;
    return complaint;
}
