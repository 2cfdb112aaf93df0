/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/* The arguments of RestHooksEvent: type methods regex [option…]. */
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

/** Find the regex's literal ends, unless RegexDefaultOptions gives it another meaning. */
static void find_ends(cmd_parms *cmd, rh_rule_t *rule)
{
    int flags = ap_regcomp_get_default_cflags();

    if (!(flags & (AP_REG_ICASE | AP_REG_NEWLINE))) {
        rh_regex_ends_find(cmd->pool, rule->pattern, &rule->ends);
    }
    if (!(flags & AP_REG_DOLLAR_ENDONLY)) {
        rule->ends.suffix.len = 0; /* a line feed may follow */
    }
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
    find_ends(cmd, rule);
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

static const char *read_query(cmd_parms *cmd, const char *option, const char *text,
                              rh_jsonpath_t **query)
{
    rh_jsonpath_error_t error = {0};

    if (rh_jsonpath_compile(cmd->pool, text, strlen(text), query, &error) == APR_SUCCESS) {
        return NULL;
    }
    return rh_complaint(cmd, "%s=%s: %s at byte %" APR_SIZE_T_FMT, option, text, error.reason,
                        error.offset);
}

static const char *read_data(cmd_parms *cmd, const char *word, rh_rule_t *rule)
{
#define DATA_WORD(id, word, name) word,
    static const char *const words[] = {RH_DATA_SOURCES(DATA_WORD)};
    apr_size_t i, len = strcspn(word, ":");

    for (i = 0; i < RH_COUNT_OF(words); i++) {
        if (len == strlen(words[i]) && !strncasecmp(word, words[i], len)) {
            rule->data = (rh_data_source_t)i;
            return word[len] ? read_query(cmd, "data", word + len + 1, &rule->query) : NULL;
        }
    }
    return rh_complaint(cmd, "data=%s is none of response, request, before, after", word);
}

static const char *read_each(cmd_parms *cmd, const char *text, rh_rule_t *rule)
{
    return read_query(cmd, "each", text, &rule->each);
}

static const char *read_expression(cmd_parms *cmd, const char *option, const char *text,
                                   unsigned int flags, ap_expr_info_t **expression)
{
    const char *error = NULL;

    *expression = ap_expr_parse_cmd(cmd, text, flags, &error, NULL);
    return error ? rh_complaint(cmd, "%s=%s: %s", option, text, error) : NULL;
}

/** Parse an expression, or a query on the item, which begins with $. */
static const char *read_value(cmd_parms *cmd, const char *option, const char *text,
                              rh_rule_value_t *value)
{
    const char *complaint;

    value->text = text;
    if (*text != '$') {
        return read_expression(cmd, option, text, RH_EXPR_TEXT, &value->expression);
    }
    complaint = read_query(cmd, option, text, &value->query);
    if (!complaint && !rh_jsonpath_is_singular(value->query)) {
        complaint =
            rh_complaint(cmd, "%s=%s: the query can select more than one value", option, text);
    }
    return complaint;
}

/* A key and an id do not decide whether there is an event: they leave by_item as it is. */

static const char *read_key(cmd_parms *cmd, const char *text, rh_rule_t *rule)
{
    bool by_item = rule->by_item;
    const char *complaint = read_value(cmd, "key", text, &rule->key);

    rule->by_item = by_item;
    return complaint;
}

static const char *read_id(cmd_parms *cmd, const char *text, rh_rule_t *rule)
{
    bool by_item = rule->by_item;
    const char *complaint = read_value(cmd, "id", text, &rule->id);

    rule->by_item = by_item;
    return complaint;
}

static const char *read_tenant(cmd_parms *cmd, const char *text, rh_rule_t *rule)
{
    const char *complaint = read_value(cmd, "tenant", text, &rule->tenant);

    rule->by_item = rule->by_item || rule->tenant.query;
    return complaint;
}

static const char *read_when(cmd_parms *cmd, const char *text, rh_rule_t *rule)
{
    return read_expression(cmd, "when", text, RH_EXPR_CONDITION, &rule->when);
}

static const char *read_url(cmd_parms *cmd, const char *text, rh_rule_t *rule)
{
    bool by_item = rule->by_item;
    const char *complaint;

    rule->by_item = false;
    complaint = read_expression(cmd, "url", text, RH_EXPR_TEXT, &rule->url);
    if (!complaint && rule->by_item) {
        complaint = rh_complaint(cmd, "url=%s: it cannot look at bodies", text);
    }
    rule->by_item = by_item;
    return complaint;
}

static const char *read_with(cmd_parms *cmd, const char *word, rh_rule_t *rule)
{
    rule->with_before = true;
    return strcasecmp(word, "before") ? rh_complaint(cmd, "with=%s is not with=before", word)
                                      : NULL;
}

static const char *read_unless(cmd_parms *cmd, const char *word, rh_rule_t *rule)
{
    rule->unless_unchanged = true;
    return strcasecmp(word, "unchanged")
               ? rh_complaint(cmd, "unless=%s is not unless=unchanged", word)
               : NULL;
}

static const char *read_observe(cmd_parms *cmd, const char *nothing, rh_rule_t *rule)
{
    (void)cmd;
    (void)nothing;
    rule->observe = true;
    return NULL;
}

static const struct option_t {
    const char *name; /**< the name, with an equals sign if the option has a value */
    const char *(*read)(cmd_parms *cmd, const char *value, rh_rule_t *rule);
} options[] = {
    {"status=", read_statuses}, {"data=", read_data},      {"each=", read_each},
    {"key=", read_key},         {"id=", read_id},          {"tenant=", read_tenant},
    {"when=", read_when},       {"with=", read_with},      {"unless=", read_unless},
    {"url=", read_url},         {"observe", read_observe},
};

#define OPTION_COUNT RH_COUNT_OF(options)

static const char *refuse_option(cmd_parms *cmd, const char *word)
{
    const char *list = "";
    apr_size_t i;

    for (i = 0; i < OPTION_COUNT; i++) {
        list = apr_pstrcat(cmd->pool, list, i > 0 ? ", " : "", options[i].name, NULL);
    }
    return rh_complaint(cmd, "\"%s\" is none of %s", word, list);
}

static const char *read_option(cmd_parms *cmd, const char *word, rh_rule_t *rule,
                               unsigned int *seen)
{
    const char *equals = strchr(word, '=');
    apr_size_t i, len = equals ? (apr_size_t)(equals - word) + 1 : strlen(word);

    for (i = 0; i < OPTION_COUNT; i++) {
        if (len != strlen(options[i].name) || strncasecmp(word, options[i].name, len) != 0) {
            continue;
        }
        if (*seen & (1u << i)) {
            return rh_complaint(cmd, "%s is given twice", options[i].name);
        }
        *seen |= 1u << i;
        return options[i].read(cmd, equals ? equals + 1 : NULL, rule);
    }
    return refuse_option(cmd, word);
}

static const char *read_options(cmd_parms *cmd, const char *args, rh_rule_t *rule)
{
    const char *complaint = NULL;
    unsigned int seen = 0;

    rh_rule_functions_enter(rule);
    while (*args && !complaint) {
        complaint = read_option(cmd, ap_getword_conf(cmd->pool, &args), rule, &seen);
    }
    rh_rule_functions_enter(NULL);
    rule->needs[rule->data] = true;
    if (rule->with_before || rule->unless_unchanged) {
        rule->needs[RH_DATA_BEFORE] = true;
    }
    return complaint;
}

const char *rh_rule_parse(cmd_parms *cmd, const char *args, rh_rule_t **result)
{
    rh_rule_t *rule = apr_pcalloc(cmd->pool, sizeof(*rule));
    const char *methods, *pattern, *complaint;

    rule->warned = apr_pcalloc(cmd->pool, sizeof(*rule->warned));
    rule->type = ap_getword_conf(cmd->pool, &args);
    methods = ap_getword_conf(cmd->pool, &args);
    pattern = ap_getword_conf(cmd->pool, &args);
    if (!*pattern) {
        return rh_complaint(cmd, "takes an event type, methods and a regular expression");
    }
    if (!rh_event_type_valid(rule->type, strlen(rule->type))) {
        return rh_complaint(cmd, "\"%s\" is not an event type like employee.created", rule->type);
    }
    if ((complaint = read_methods(cmd, methods, rule)) != NULL ||
        (complaint = read_regex(cmd, pattern, rule)) != NULL ||
        (complaint = read_options(cmd, args, rule)) != NULL) {
        return complaint;
    }
    if (!rule->statuses) {
        complaint = read_statuses(cmd, "2xx", rule);
    }
    *result = rule;
    return complaint;
}
