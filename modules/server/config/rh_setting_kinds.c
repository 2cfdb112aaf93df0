/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/* Kinds of settings: numbers, durations, words, lists, expressions. */
#include "rh_config_private.h"
#include "rh_settings.h"

#include "rh_time.h"

#include <http_log.h>

APLOG_USE_MODULE(resthooks);

/** Maximum number of waits of a retry schedule. */
#define MAX_WAITS 60
/** Maximum number of statuses of RestHooksGone. */
#define MAX_GONE 32

/* Functions that several kinds share. */

void rh_merge_pointer(apr_pool_t *pool, const rh_setting_t *setting, void *merged, const void *base,
                      const void *add)
{
    void *own = RH_MEMBER(add, setting, void *);

    (void)pool;
    RH_MEMBER(merged, setting, void *) = own ? own : RH_MEMBER(base, setting, void *);
}

bool rh_pointer_is_set(const rh_setting_t *setting, const void *record)
{
    return RH_MEMBER(record, setting, void *) != NULL;
}

bool rh_texts_equal(const char *a, const char *b)
{
    return a == b || (a && b && !strcmp(a, b));
}

bool rh_same_text(const rh_setting_t *setting, const void *a, const void *b)
{
    return rh_texts_equal(RH_MEMBER(a, setting, const char *), RH_MEMBER(b, setting, const char *));
}

bool rh_lists_equal(const apr_array_header_t *a, const apr_array_header_t *b)
{
    int i;

    if (!a || !b || a->nelts != b->nelts) {
        return a == b;
    }
    for (i = 0; i < a->nelts; i++) {
        if (strcmp(APR_ARRAY_IDX(a, i, const char *), APR_ARRAY_IDX(b, i, const char *))) {
            return false;
        }
    }
    return true;
}

static void clear_list(apr_pool_t *pool, const rh_setting_t *setting, void *record)
{
    RH_MEMBER(record, setting, apr_array_header_t *) = apr_array_make(pool, 0, sizeof(void *));
}

static bool same_list(const rh_setting_t *setting, const void *a, const void *b)
{
    return rh_lists_equal(RH_MEMBER(a, setting, const apr_array_header_t *),
                          RH_MEMBER(b, setting, const apr_array_header_t *));
}

/** A virtual host's elements come before the server's. */
static void merge_own_first(apr_pool_t *pool, const rh_setting_t *setting, void *merged,
                            const void *base, const void *add)
{
    RH_MEMBER(merged, setting, apr_array_header_t *) =
        apr_array_append(pool, RH_MEMBER(add, setting, apr_array_header_t *),
                         RH_MEMBER(base, setting, apr_array_header_t *));
}

static void merge_own_last(apr_pool_t *pool, const rh_setting_t *setting, void *merged,
                           const void *base, const void *add)
{
    merge_own_first(pool, setting, merged, add, base);
}

/** Arrays of numbers, compared as bytes. */
static bool same_numbers(const rh_setting_t *setting, const void *one, const void *other)
{
    const apr_array_header_t *a = RH_MEMBER(one, setting, const apr_array_header_t *);
    const apr_array_header_t *b = RH_MEMBER(other, setting, const apr_array_header_t *);

    return a->nelts == b->nelts &&
           (a->nelts == 0 || !memcmp(a->elts, b->elts, (apr_size_t)a->nelts * a->elt_size));
}

/* Scalars: RH_UNSET is not set. */

#define SCALAR(name, type)                                                                         \
    static void clear_##name(apr_pool_t *pool, const rh_setting_t *setting, void *record)          \
    {                                                                                              \
        (void)pool;                                                                                \
        RH_MEMBER(record, setting, type) = RH_UNSET;                                               \
    }                                                                                              \
    static bool name##_is_set(const rh_setting_t *setting, const void *record)                     \
    {                                                                                              \
        return RH_MEMBER(record, setting, type) != RH_UNSET;                                       \
    }                                                                                              \
    static void merge_##name(apr_pool_t *pool, const rh_setting_t *setting, void *merged,          \
                             const void *base, const void *add)                                    \
    {                                                                                              \
        (void)pool;                                                                                \
        RH_MEMBER(merged, setting, type) =                                                         \
            RH_MEMBER(name##_is_set(setting, add) ? add : base, setting, type);                    \
    }                                                                                              \
    static bool same_##name(const rh_setting_t *setting, const void *a, const void *b)             \
    {                                                                                              \
        return RH_MEMBER(a, setting, type) == RH_MEMBER(b, setting, type);                         \
    }

SCALAR(int, int)
SCALAR(wide, apr_int64_t)

#define SCALAR_FUNCTIONS(name) clear_##name, merge_##name, same_##name, name##_is_set

/** Read a number within the setting's bounds. */
static const char *read_number(cmd_parms *cmd, const rh_setting_t *setting, const char *word,
                               apr_int64_t *value)
{
    *value = apr_atoi64(word);
    if (!*word || strspn(word, "0123456789") != strlen(word) || strlen(word) > 18 ||
        *value < apr_atoi64(setting->min) || *value > apr_atoi64(setting->max)) {
        return rh_complaint(cmd, "\"%s\" is not a number from %s to %s", word, setting->min,
                            setting->max);
    }
    return NULL;
}

static const char *parse_number(cmd_parms *cmd, const rh_setting_t *setting, void *record, int argc,
                                char *const argv[])
{
    apr_int64_t value;
    const char *complaint = read_number(cmd, setting, argv[0], &value);

    (void)argc;
    if (!complaint) {
        RH_MEMBER(record, setting, int) = (int)value;
    }
    return complaint;
}

static const char *parse_size(cmd_parms *cmd, const rh_setting_t *setting, void *record, int argc,
                              char *const argv[])
{
    (void)argc;
    return read_number(cmd, setting, argv[0], &RH_MEMBER(record, setting, apr_int64_t));
}

const rh_setting_kind_t rh_kind_number = {1, 1, parse_number, SCALAR_FUNCTIONS(int)};
const rh_setting_kind_t rh_kind_size = {1, 1, parse_size, SCALAR_FUNCTIONS(wide)};

static apr_interval_time_t read_bound(const char *text, apr_interval_time_t without)
{
    apr_interval_time_t bound = without;

    if (text) {
        ap_assert(rh_duration_parse(text, strlen(text), false, &bound) == APR_SUCCESS);
    }
    return bound;
}

/** Read a duration within the setting's bounds. */
static const char *read_duration(cmd_parms *cmd, const rh_setting_t *setting, const char *word,
                                 bool never, apr_interval_time_t *value)
{
    if (rh_duration_parse(word, strlen(word), never, value) != APR_SUCCESS) {
        return rh_complaint(cmd, "\"%s\" is not a duration like 90s, 5m, 2h or 30d%s", word,
                            never ? ", nor never" : "");
    }
    if (*value != RH_NEVER && (*value < read_bound(setting->min, 0) ||
                               *value > read_bound(setting->max, APR_INT64_MAX))) {
        return rh_complaint(cmd, "%s is not between %s and %s", word,
                            setting->min ? setting->min : "0", setting->max);
    }
    return NULL;
}

static const char *parse_duration(cmd_parms *cmd, const rh_setting_t *setting, void *record,
                                  int argc, char *const argv[])
{
    (void)argc;
    return read_duration(cmd, setting, argv[0], false,
                         &RH_MEMBER(record, setting, apr_interval_time_t));
}

static const char *parse_duration_or_never(cmd_parms *cmd, const rh_setting_t *setting,
                                           void *record, int argc, char *const argv[])
{
    (void)argc;
    return read_duration(cmd, setting, argv[0], true,
                         &RH_MEMBER(record, setting, apr_interval_time_t));
}

const rh_setting_kind_t rh_kind_duration = {1, 1, parse_duration, SCALAR_FUNCTIONS(wide)};
const rh_setting_kind_t rh_kind_duration_or_never = {1, 1, parse_duration_or_never,
                                                     SCALAR_FUNCTIONS(wide)};

/* A choice of two words: the first one is 1, the second one 0. */

static const char *read_word(cmd_parms *cmd, const rh_setting_t *setting, void *record,
                             const char *word, const char *set, const char *clear)
{
    bool is_set = !strcasecmp(word, set);

    if (!is_set && strcasecmp(word, clear)) {
        return rh_complaint(cmd, "\"%s\" is neither %s nor %s", word, set, clear);
    }
    RH_MEMBER(record, setting, int) = is_set;
    return NULL;
}

static const char *parse_flag(cmd_parms *cmd, const rh_setting_t *setting, void *record, int argc,
                              char *const argv[])
{
    (void)argc;
    return read_word(cmd, setting, record, argv[0], "On", "Off");
}

static const char *parse_targets(cmd_parms *cmd, const rh_setting_t *setting, void *record,
                                 int argc, char *const argv[])
{
    (void)argc;
    return read_word(cmd, setting, record, argv[0], "https-only", "http");
}

static const char *parse_schema(cmd_parms *cmd, const rh_setting_t *setting, void *record, int argc,
                                char *const argv[])
{
    (void)argc;
    return read_word(cmd, setting, record, argv[0], "auto", "check");
}

const rh_setting_kind_t rh_kind_flag = {1, 1, parse_flag, SCALAR_FUNCTIONS(int)};
const rh_setting_kind_t rh_kind_targets = {1, 1, parse_targets, SCALAR_FUNCTIONS(int)};
const rh_setting_kind_t rh_kind_schema = {1, 1, parse_schema, SCALAR_FUNCTIONS(int)};

/* Lists. */

static const char *parse_waits(cmd_parms *cmd, const rh_setting_t *setting, void *record, int argc,
                               char *const argv[])
{
    apr_array_header_t *waits = apr_array_make(cmd->pool, argc, sizeof(apr_interval_time_t));
    const char *complaint = NULL;
    int i;

    for (i = 0; i < argc && !complaint; i++) {
        complaint = read_duration(cmd, setting, argv[i], false,
                                  &APR_ARRAY_PUSH(waits, apr_interval_time_t));
    }
    RH_MEMBER(record, setting, apr_array_header_t *) = waits;
    return complaint;
}

static const char *parse_statuses(cmd_parms *cmd, const rh_setting_t *setting, void *record,
                                  int argc, char *const argv[])
{
    apr_array_header_t *statuses = apr_array_make(cmd->pool, 2, sizeof(int));
    int i, status;

    for (i = 0; i < argc && !(argc == 1 && !strcasecmp(argv[0], "none")); i++) {
        status = atoi(argv[i]);
        if (strlen(argv[i]) != 3 || strspn(argv[i], "0123456789") != 3 || status < 300 ||
            status > 599) {
            return rh_complaint(cmd, "\"%s\" is not a status from 300 to 599", argv[i]);
        }
        APR_ARRAY_PUSH(statuses, int) = status;
    }
    RH_MEMBER(record, setting, apr_array_header_t *) = statuses;
    return NULL;
}

static const char *parse_addresses(cmd_parms *cmd, const rh_setting_t *setting, void *record,
                                   int argc, char *const argv[])
{
    rh_egress_policy_t *policy = rh_egress_make(cmd->temp_pool);
    int i;

    for (i = 0; i < argc; i++) {
        const char *reason = rh_egress_add(policy, true, argv[i]);

        if (reason) {
            return rh_complaint(cmd, "\"%s\": %s", argv[i], reason);
        }
        APR_ARRAY_PUSH(RH_MEMBER(record, setting, apr_array_header_t *), const char *) = argv[i];
    }
    return NULL;
}

const rh_setting_kind_t rh_kind_waits = {
    1, MAX_WAITS, parse_waits, NULL, rh_merge_pointer, same_numbers, rh_pointer_is_set};
const rh_setting_kind_t rh_kind_statuses = {
    1, MAX_GONE, parse_statuses, NULL, rh_merge_pointer, same_numbers, rh_pointer_is_set};
/* Addresses that the server denies are denied in every virtual host. */
const rh_setting_kind_t rh_kind_addresses = {
    1, RH_ANY_NUMBER, parse_addresses, clear_list, merge_own_last, same_list, rh_pointer_is_set};
/* Every rule that matches makes an event. RestHooksEvent reads its arguments itself. */
const rh_setting_kind_t rh_kind_rules = {1,    RH_ANY_NUMBER,    NULL, clear_list, merge_own_first,
                                         NULL, rh_pointer_is_set};
/* The first description of a type counts. */
const rh_setting_kind_t rh_kind_types = {
    2, 4, rh_parse_event_type, clear_list, merge_own_first, NULL, rh_pointer_is_set};

/* Expressions of a directory; those of the server are httpd's defaults for all directories. */

static const char *read_expression(cmd_parms *cmd, const rh_setting_t *setting, void *record,
                                   const char *text, unsigned int flags)
{
    const char *error = NULL;
    ap_expr_info_t *expression = ap_expr_parse_cmd(cmd, text, flags, &error, NULL);

    if (error) {
        return rh_complaint(cmd, "%s: %s", text, error);
    }
    RH_MEMBER(record, setting, ap_expr_info_t *) = expression;
    return NULL;
}

static const char *parse_condition(cmd_parms *cmd, const rh_setting_t *setting, void *record,
                                   int argc, char *const argv[])
{
    (void)argc;
    return read_expression(cmd, setting, record, argv[0], RH_EXPR_CONDITION);
}

static const char *parse_tenant(cmd_parms *cmd, const rh_setting_t *setting, void *record, int argc,
                                char *const argv[])
{
    (void)argc;
    ((rh_dir_config_t *)record)->tenant_text = argv[0];
    return read_expression(cmd, setting, record, argv[0], RH_EXPR_TEXT);
}

static void merge_tenant(apr_pool_t *pool, const rh_setting_t *setting, void *merged,
                         const void *base, const void *add)
{
    const rh_dir_config_t *from = rh_pointer_is_set(setting, add) ? add : base;

    rh_merge_pointer(pool, setting, merged, base, add);
    ((rh_dir_config_t *)merged)->tenant_text = from->tenant_text;
}

const rh_setting_kind_t rh_kind_condition = {
    1, 1, parse_condition, NULL, rh_merge_pointer, NULL, rh_pointer_is_set};
const rh_setting_kind_t rh_kind_tenant = {
    1, 1, parse_tenant, NULL, merge_tenant, NULL, rh_pointer_is_set};
