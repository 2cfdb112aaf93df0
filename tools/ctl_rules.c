/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/* rules: make capture rules and event types from an OpenAPI description. */
#include "ctl_rules.h"

#include "rh_event_type.h"

#include <apr_file_info.h>
#include <apr_hash.h>
#include <apr_strings.h>

/** Maximum length of a type's description, in bytes. */
#define MAX_DESCRIPTION_BYTES 200

static const char *const methods[] = {"post", "put", "patch", "delete", NULL};

/* ---- types ---- */

/** True for POST operations that change nothing, or that concern a session. */
static bool is_no_event(const char *verb)
{
    static const char *const verbs[] = {
        "search",  "query",   "login",        "logout",    "token",        "validate", "verify",
        "preview", "count",   "export",       "refresh",   "authenticate", "graphql",  "download",
        "lookup",  "suggest", "autocomplete", "calculate", "estimate",     "check",    "authorize",
        "filter",  "find",    "introspect",   "ping",      "echo",         "signin",   "sign_in",
        NULL};

    return ctl_word_in(verb, verbs);
}

static const char *verb_of(apr_pool_t *pool, const ctl_rules_path_t *path, const char *method)
{
    static const char *const creations[] = {"bulk",   "batch",  "bulk_create", "batch_create",
                                            "create", "import", NULL};

    return path->action && !path->has_key && ctl_word_in(path->action, creations) ? "created"
           : path->action                                  ? ctl_participle(pool, path->action)
           : strcmp(method, "delete") == 0                 ? "deleted"
           : strcmp(method, "post") == 0 && !path->has_key ? "created"
                                                           : "updated";
}

/** Count the collections of each noun: if there are two, their types also name the parent. */
static apr_hash_t *count_collections(ctl_rules_t *rules)
{
    apr_pool_t *pool = rules->ctl->pool;
    apr_hash_t *first = apr_hash_make(pool);

    for (int i = 0; i < rules->rules->nelts; i++) {
        const ctl_rules_path_t *path = APR_ARRAY_IDX(rules->rules, i, ctl_rule_t *)->path;
        const char *seen = apr_hash_get(first, path->noun, APR_HASH_KEY_STRING);

        if (!seen) {
            apr_hash_set(first, path->noun, APR_HASH_KEY_STRING, path->collection);
        } else if (strcmp(seen, path->collection) != 0) {
            apr_hash_set(first, path->noun, APR_HASH_KEY_STRING, "");
        }
    }
    return first;
}

/** Complete the types: "created" becomes "order.created". Note the invalid ones. */
static void name_types(ctl_rules_t *rules)
{
    apr_pool_t *pool = rules->ctl->pool;
    apr_hash_t *first = count_collections(rules);

    for (int i = 0; i < rules->rules->nelts; i++) {
        ctl_rule_t *rule = APR_ARRAY_IDX(rules->rules, i, ctl_rule_t *);
        const ctl_rules_path_t *path = rule->path;
        const char *seen = apr_hash_get(first, path->noun, APR_HASH_KEY_STRING);
        bool ambiguous = !*seen && path->parent;

        rule->type = apr_pstrcat(pool, ambiguous ? path->parent : "", ambiguous ? "_" : "",
                                 path->noun, ".", rule->type, NULL);
    }
}

/* ---- options of a rule ---- */

static void add_option(ctl_rules_t *rules, ctl_rule_t *rule, const char *name, const char *value)
{
    const char *option = apr_pstrcat(rules->ctl->pool, name, value, NULL);
    bool quoted = strpbrk(option, " \t'") != NULL;

    rule->options = apr_pstrcat(rules->ctl->pool, rule->options, quoted ? " \"" : " ", option,
                                quoted ? "\"" : "", NULL);
}

static void set_data(ctl_rules_t *rules, ctl_rule_t *rule, const char *source,
                     const ctl_rules_item_t *item)
{
    const char *query = item ? item->query : NULL;

    if (item) {
        rule->item = *item;
    }
    if (query || strcmp(source, "response") != 0) {
        add_option(rules, rule, "data=",
                   query ? apr_pstrcat(rules->ctl->pool, source, ":", query, NULL) : source);
    }
    if (item && item->each) {
        add_option(rules, rule, "each=", "$[*]");
    }
}

/** Find the operation that shows one resource: GET of the path, or of one below a collection. */
static struct json_object *find_get(ctl_rules_t *rules, const char *path, bool below)
{
    apr_size_t len = strlen(path);

    if (!below) {
        return ctl_rules_get(rules, ctl_rules_get(rules, rules->paths, path), "get");
    }
    len -= len > 0 && path[len - 1] == '/';
    json_object_object_foreach(rules->paths, other, item)
    {
        const char *end =
            strncmp(other, path, len) == 0 && other[len] == '/' && other[len + 1] == '{'
                ? strchr(other + len, '}')
                : NULL;

        if (end && (!end[1] || strcmp(end + 1, "/") == 0)) {
            return ctl_rules_get(rules, ctl_rules_resolve(rules, item), "get");
        }
    }
    return NULL;
}

/** Choose data= if the response contains no resource. */
static void choose_other_data(ctl_rules_t *rules, ctl_rule_t *rule, const char *method,
                              struct json_object *operation)
{
    const ctl_rules_path_t *path = rule->path;
    bool created = strcmp(method, "post") == 0 && !path->has_key && !path->action;
    struct json_object *get =
        path->action ? path->resource && path->url ? find_get(rules, path->resource, false) : NULL
                     : find_get(rules, path->text, created);
    ctl_rules_item_t item;

    if (get && ctl_rules_response(rules, get, &item) && !item.each) {
        set_data(rules, rule, "after", &item);
        if (path->action) {
            add_option(rules, rule, "url=", path->url);
        }
    } else if (ctl_rules_request(rules, operation, &item)) {
        set_data(rules, rule, "request", &item);
    }
}

/** Choose key= if the item's id has another name. */
static void choose_key(ctl_rules_t *rules, ctl_rule_t *rule)
{
    apr_pool_t *pool = rules->ctl->pool;
    struct json_object *properties;
    const char *noun = rule->path->noun;
    const char *const names[] = {apr_pstrcat(pool, noun, "_id", NULL),
                                 "uuid",
                                 "guid",
                                 "key",
                                 "code",
                                 "slug",
                                 "number",
                                 NULL};
    const char *key = NULL;

    if (rule->path->has_key || !rule->item.schema) {
        return;
    }
    properties = ctl_rules_properties(rules, rule->item.schema);
    if (!json_object_object_get_ex(properties, "id", NULL)) {
        for (int i = 0; names[i] && !key; i++) {
            json_object_object_foreach(properties, name, member)
            {
                (void)member;
                if (!key && strcmp(ctl_words(pool, name, strlen(name)), names[i]) == 0 &&
                    strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_") ==
                        strlen(name)) {
                    key = apr_pstrcat(pool, "$.", name, NULL);
                }
            }
        }
    }
    json_object_put(properties);
    if (key) {
        add_option(rules, rule, "key=", key);
    }
}

static void choose_data(ctl_rules_t *rules, ctl_rule_t *rule, const char *method,
                        struct json_object *operation)
{
    ctl_rules_item_t item;
    struct json_object *get;

    if (strcmp(method, "delete") == 0) {
        get = find_get(rules, rule->path->text, false);
        set_data(rules, rule, "before",
                 get && ctl_rules_response(rules, get, &item) ? &item : NULL);
    } else if (ctl_rules_response(rules, operation, &item)) {
        set_data(rules, rule, "response", &item);
    } else {
        choose_other_data(rules, rule, method, operation);
    }
    choose_key(rules, rule);
}

/* ---- the description ---- */

/** Make a one-line description for use within double quotes in httpd's configuration. */
static const char *describe(ctl_rules_t *rules, struct json_object *operation)
{
    apr_pool_t *pool = rules->ctl->pool;
    struct json_object *text = ctl_rules_get(rules, operation, "summary");
    const char *line;
    char *to, *quoted;

    text = text ? text : ctl_rules_get(rules, operation, "description");
    line = text && *json_object_get_string(text) ? json_object_get_string(text) : "";
    line = rh_utf8_clean(pool, line, strcspn(line, "\r\n"), MAX_DESCRIPTION_BYTES);
    quoted = to = apr_palloc(pool, strlen(line) * 2 + 1);
    for (; *line; line++) {
        if (*line == '"' || *line == '\\') {
            *to++ = '\\';
        }
        /* "${" would begin a variable in httpd's configuration. */
        *to++ = (unsigned char)*line < 0x20 || (line[0] == '$' && line[1] == '{') ? ' ' : *line;
    }
    *to = '\0';
    return quoted;
}

/** Merge PUT and PATCH of the same event into one rule. */
static bool merge_rule(ctl_rules_t *rules, const ctl_rule_t *rule)
{
    for (int i = 0; i < rules->rules->nelts; i++) {
        ctl_rule_t *other = APR_ARRAY_IDX(rules->rules, i, ctl_rule_t *);

        if (strcmp(other->path->regex, rule->path->regex) == 0 &&
            strcmp(other->type, rule->type) == 0 && strcmp(other->options, rule->options) == 0) {
            other->methods =
                apr_pstrcat(rules->ctl->pool, other->methods, ",", rule->methods, NULL);
            return true;
        }
    }
    return false;
}

static void add_operation(ctl_rules_t *rules, const char *text, const char *method,
                          struct json_object *operation)
{
    apr_pool_t *pool = rules->ctl->pool;
    ctl_rule_t *rule = apr_pcalloc(pool, sizeof(*rule));
    ctl_rules_path_t *path = ctl_rules_path(rules, text, method);
    char *upper = apr_pstrdup(pool, method);

    for (char *at = upper; *at; at++) {
        *at = (char)(*at - 32);
    }
    if (!path->noun || !*path->noun) {
        ctl_rules_note(rules, upper, text, "names no resource");
        return;
    }
    if (strcmp(method, "post") == 0 && is_no_event(path->action ? path->action : path->noun)) {
        ctl_rules_note(rules, upper, text, "reads, or is about a session");
        return;
    }
    rule->path = path;
    rule->type = verb_of(pool, path, method);
    rule->methods = upper;
    rule->options = "";
    rule->description = describe(rules, operation);
    choose_data(rules, rule, method, operation);
    if (!merge_rule(rules, rule)) {
        APR_ARRAY_PUSH(rules->rules, ctl_rule_t *) = rule;
    }
}

static void read_paths(ctl_rules_t *rules)
{
    json_object_object_foreach(rules->paths, path, item)
    {
        struct json_object *methods_of = ctl_rules_resolve(rules, item);

        for (int i = 0; methods[i] && *path == '/'; i++) {
            struct json_object *operation = ctl_rules_get(rules, methods_of, methods[i]);

            if (operation) {
                add_operation(rules, path, methods[i], operation);
            }
        }
    }
    name_types(rules);
}

/* ---- the whole ---- */

static void drop_invalid(ctl_rules_t *rules)
{
    int kept = 0;

    for (int i = 0; i < rules->rules->nelts; i++) {
        ctl_rule_t *rule = APR_ARRAY_IDX(rules->rules, i, ctl_rule_t *);

        if (rh_event_type_valid(rule->type, strlen(rule->type))) {
            APR_ARRAY_IDX(rules->rules, kept++, ctl_rule_t *) = rule;
        } else {
            ctl_rules_note(rules, rule->methods, rule->path->text, "gives no valid event type");
        }
    }
    rules->rules->nelts = kept;
}

/**
 * Return the path at which clients find the API: of its first server (OpenAPI 3), or basePath
 * (2.0).
 */
static const char *find_prefix(ctl_rules_t *rules)
{
    struct json_object *servers = ctl_rules_get(rules, rules->doc, "servers"), *url = NULL;
    struct json_object *base = ctl_rules_get(rules, rules->doc, "basePath");
    const char *prefix = base ? json_object_get_string(base) : "", *authority;
    apr_size_t len;

    if (json_object_is_type(servers, json_type_array) && json_object_array_length(servers) > 0) {
        url = ctl_rules_get(rules, json_object_array_get_idx(servers, 0), "url");
    }
    if (url) {
        prefix = json_object_get_string(url);
        authority = strstr(prefix, "://");
        prefix = authority ? strchr(authority + 3, '/') : prefix;
        prefix = prefix && *prefix == '/' && !strchr(prefix, '{') ? prefix : "";
    }
    len = strcspn(prefix, "?#");
    while (len > 0 && prefix[len - 1] == '/') {
        len--;
    }
    return apr_pstrmemdup(rules->ctl->pool, prefix, len);
}

/** Read the description: JSON or YAML. @return an exit status, after printing an error */
static int read_description(ctl_rules_t *rules, const char *file)
{
    ctl_t *ctl = rules->ctl;
    const char *reason = NULL;
    rh_json_error_t error;
    rh_bytes_t text;
    apr_size_t blank = 0;

    if (ctl_read_file(ctl, file, &text) != CTL_DONE) {
        return CTL_FAILED;
    }
    while (blank < text.len && strchr(" \t\r\n", text.data[blank])) {
        blank++;
    }
    if (blank < text.len && text.data[blank] == '{') {
        if (rh_json_parse(ctl->pool, text.data, text.len, &rules->doc, &error) != APR_SUCCESS) {
            return ctl_fail(ctl, "%s: invalid JSON: %s, at byte %lu", file, error.reason,
                            (unsigned long)error.offset);
        }
    } else {
        rules->doc = ctl_yaml_parse(ctl, text, &reason);
        if (!rules->doc) {
            return ctl_fail(ctl, "%s: invalid YAML: %s", file, reason);
        }
    }
    rules->paths = ctl_rules_get(rules, rules->doc, "paths");
    if (!json_object_is_type(rules->paths, json_type_object)) {
        return ctl_fail(ctl, "%s is not an OpenAPI description: it has no paths", file);
    }
    return CTL_DONE;
}

/** Find the absolute path of --save, which must be a directory. */
static int find_directory(ctl_rules_t *rules)
{
    const char *name = ctl_option(rules->ctl, CTL_SAVE);
    char *path = NULL;
    apr_finfo_t info;

    if (!name) {
        return CTL_DONE;
    }
    if (apr_filepath_merge(&path, NULL, name, 0, rules->ctl->pool) != APR_SUCCESS ||
        apr_stat(&info, path, APR_FINFO_TYPE, rules->ctl->pool) != APR_SUCCESS ||
        info.filetype != APR_DIR || strpbrk(path, "\"\\\n$")) {
        return ctl_fail(rules->ctl,
                        "--save: %s is not a directory that can be named in a "
                        "configuration",
                        name);
    }
    rules->directory = path;
    return CTL_DONE;
}

int ctl_rules_print(ctl_t *ctl)
{
    ctl_rules_t rules = {.ctl = ctl, .steps = CTL_RULES_STEPS};
    const char *file = ctl_argument(ctl, 0), *prefix = ctl_option(ctl, CTL_PREFIX);
    int status = find_directory(&rules);

    rules.rules = apr_array_make(ctl->pool, 32, sizeof(ctl_rule_t *));
    rules.notes = apr_array_make(ctl->pool, 8, sizeof(const char *));
    if (prefix && ((*prefix && *prefix != '/') || (*prefix && prefix[strlen(prefix) - 1] == '/'))) {
        return ctl_misuse(ctl, "--prefix begins with a slash, and does not end with one: /v1");
    }
    status = status == CTL_DONE ? read_description(&rules, file) : status;
    if (status != CTL_DONE) {
        return status;
    }
    rules.prefix = prefix ? prefix : find_prefix(&rules);
    read_paths(&rules);
    drop_invalid(&rules);
    if (rules.steps < 0) {
        return ctl_fail(ctl, "%s: the description is too large or refers to itself too often",
                        file);
    }
    printf("# Rules from %s, to be reviewed. Without a group \"tenant\" the tenant is "
           "RestHooksTenant.\n",
           ctl_safe(ctl->pool, file, strlen(file), false));
    ctl_rules_write(&rules);
    for (int i = 0; i < rules.notes->nelts; i++) {
        puts(APR_ARRAY_IDX(rules.notes, i, const char *));
    }
    return rules.rules->nelts > 0 ? CTL_DONE : CTL_FAILED;
}
