/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/* Analyses the paths of a description: their regex, their resource, their action. */
#include "ctl_rules.h"

#include "rh_text.h"

#include <apr_strings.h>

/** Maximum number of segments of a path that are analysed. */
#define MAX_SEGMENTS 32
/** PCRE2 limits names of groups to 32 characters, and httpd prepends "MATCH_". */
#define MAX_GROUP 24

typedef struct segment_t {
    const char *text;      /**< as written in the path */
    const char *parameter; /**< name of the parameter; NULL: a literal */
    const char *verb;      /**< action after a colon: "{id}:cancel"; NULL: none */
    const char *words;     /**< words of a literal */
} segment_t;

typedef struct splitting_t {
    ctl_rules_t *rules;
    apr_pool_t *pool;
    segment_t segments[MAX_SEGMENTS];
    int count;
    int noun, key, tenant;           /**< indexes of segments; -1: none */
    const char *names[MAX_SEGMENTS]; /**< names of groups already used */
    int name_count;
} splitting_t;

static segment_t make_segment(apr_pool_t *pool, const char *text)
{
    segment_t segment = {.text = text};
    const char *open = strchr(text, '{'), *close = open ? strchr(open, '}') : NULL;
    const char *colon = strchr(close ? close : text, ':');

    if (close) {
        const char *name = open + 1 + strspn(open + 1, "+*/");

        segment.parameter = ctl_words(pool, name, strcspn(name, "}:=*"));
    }
    if (colon && colon > text && colon[1] && !strchr(colon, '{')) {
        segment.verb = ctl_words(pool, colon + 1, strlen(colon + 1));
    }
    segment.words = ctl_words(pool, text, segment.verb ? (apr_size_t)(colon - text) : strlen(text));
    return segment;
}

static void split_path(splitting_t *splitting, const char *path)
{
    char *state, *rest = apr_pstrdup(splitting->pool, path);

    for (char *text = apr_strtok(rest, "/", &state); text && splitting->count < MAX_SEGMENTS;
         text = apr_strtok(NULL, "/", &state)) {
        splitting->segments[splitting->count++] = make_segment(splitting->pool, text);
    }
}

/** True for "api", "rest", "v1", which do not name a resource. */
static bool is_preamble(const segment_t *segment)
{
    static const char *const words[] = {"api", "apis", "rest", "public", NULL};

    return !segment->parameter && (ctl_word_in(segment->words, words) ||
                                   (segment->words[0] == 'v' && rh_is_digit(segment->words[1])));
}

static bool is_plural(apr_pool_t *pool, const segment_t *segment)
{
    return strcmp(ctl_singular(pool, segment->words), segment->words) != 0;
}

/** Return the index of the literal before a segment that names a resource; -1: none. */
static int noun_before(const splitting_t *splitting, int i)
{
    for (i--; i >= 0; i--) {
        if (!splitting->segments[i].parameter) {
            return is_preamble(&splitting->segments[i]) ? -1 : i;
        }
    }
    return -1;
}

/** True if the description has a path below this one, which therefore is a collection. */
static bool has_children(ctl_rules_t *rules, const char *path)
{
    apr_size_t len = strlen(path);

    json_object_object_foreach(rules->paths, other, item)
    {
        (void)item;
        if (strncmp(other, path, len) == 0 && other[len] == '/' && other[len + 1] == '{') {
            return true;
        }
    }
    return false;
}

/** True if the last segment, a literal, is an action rather than a resource. */
static bool is_action(const splitting_t *splitting, const char *path, const char *method)
{
    const segment_t *last = &splitting->segments[splitting->count - 1];
    ctl_rules_t *rules = splitting->rules;

    return strcmp(method, "delete") != 0 && splitting->count > 1 &&
           noun_before(splitting, splitting->count - 1) >= 0 && !is_plural(splitting->pool, last) &&
           !ctl_rules_get(rules, ctl_rules_get(rules, rules->paths, path), "get") &&
           !has_children(rules, path);
}

/** True for a parameter that typically identifies a customer of the API. */
static bool is_tenant(const char *name)
{
    static const char *const names[] = {
        "tenant",       "tenants",         "account",     "org",        "organization",
        "organisation", "employer",        "company",     "workspace",  "shop",
        "merchant",     "realm",           "tenant_id",   "account_id", "org_id",
        "shop_id",      "organization_id", "employer_id", "company_id", "workspace_id",
        "merchant_id",  "organisation_id", NULL};

    return ctl_word_in(name, names);
}

/** Return an unused name for a parameter's group. */
static const char *name_group(splitting_t *splitting, int i)
{
    const char *name = splitting->segments[i].parameter, *unique;

    name = i == splitting->key      ? "key"
           : i == splitting->tenant ? "tenant"
           : *name && !rh_is_digit(*name) && strcmp(name, "key") != 0 && strcmp(name, "tenant") != 0
               ? apr_pstrndup(splitting->pool, name, MAX_GROUP)
               : apr_psprintf(splitting->pool, "p%d", i);
    unique = name;
    for (int j = 0; j < splitting->name_count; j++) {
        if (strcmp(splitting->names[j], unique) == 0) {
            unique = apr_psprintf(splitting->pool, "%s_%d", name, i);
        }
    }
    splitting->names[splitting->name_count++] = unique;
    return unique;
}

/** Escape literal text for a regex. */
static const char *escape_regex(apr_pool_t *pool, const char *text)
{
    char *escaped = apr_palloc(pool, strlen(text) * 2 + 1), *to = escaped;

    for (; *text; text++) {
        if (strchr("\\.^$*+?()[]{}|\"", *text)) {
            *to++ = '\\';
        }
        *to++ = *text;
    }
    *to = '\0';
    return escaped;
}

/** Append the regex and the expression of a segment. */
static void write_segment(splitting_t *splitting, int i, const char **regex, const char **url)
{
    const segment_t *segment = &splitting->segments[i];
    apr_pool_t *pool = splitting->pool;
    const char *open = strchr(segment->text, '{'), *close = open ? strchr(open, '}') : NULL;
    const char *name, *before, *upper;

    if (!segment->parameter || !close) {
        *regex = apr_pstrcat(pool, *regex, "/", escape_regex(pool, segment->text), NULL);
        *url = *url ? apr_pstrcat(pool, *url, "/", segment->text, NULL) : NULL;
        return;
    }
    name = name_group(splitting, i);
    before = apr_pstrmemdup(pool, segment->text, (apr_size_t)(open - segment->text));
    /* A second parameter of a segment gets no group. */
    *regex = apr_pstrcat(pool, *regex, "/", escape_regex(pool, before), "(?<", name, ">",
                         segment->verb ? "[^/:]+)" : "[^/]+)",
                         strchr(close, '{') ? "[^/]*" : escape_regex(pool, close + 1), NULL);
    upper = apr_pstrdup(pool, name);
    for (char *at = (char *)upper; *at; at++) {
        *at = *at >= 'a' && *at <= 'z' ? (char)(*at - 32) : *at;
    }
    *url = !*url || strchr(close, '{') ? NULL
                                       : apr_pstrcat(pool, *url, "/", before, "%{env:MATCH_", upper,
                                                     "}", segment->verb ? "" : close + 1, NULL);
}

/** True for "actions" in /orders/{id}/actions/cancel. */
static bool is_label(const segment_t *segment)
{
    static const char *const words[] = {"action", "actions", "command", "commands", NULL};

    return !segment->parameter && ctl_word_in(segment->words, words);
}

/** Find noun, key, and action. */
static void find_parts(splitting_t *splitting, ctl_rules_path_t *path, const char *method)
{
    int last = splitting->count - 1;
    const segment_t *end = &splitting->segments[last];

    splitting->noun = last;
    if (end->verb) {
        path->action = end->verb;
        splitting->noun = end->parameter ? noun_before(splitting, last) : last;
        splitting->key = end->parameter ? last : -1;
    } else if (end->parameter) {
        splitting->key = last;
        splitting->noun = noun_before(splitting, last);
    } else if (is_action(splitting, path->text, method)) {
        int subject = last - (last > 1 && is_label(&splitting->segments[last - 1]) ? 2 : 1);

        path->action = end->words;
        splitting->noun = noun_before(splitting, subject + 1);
        splitting->key = splitting->segments[subject].parameter ? subject : -1;
    }
    path->has_key = splitting->key >= 0;
    for (int i = 0; i <= last && splitting->tenant < 0; i++) {
        if (i != splitting->key && splitting->segments[i].parameter &&
            is_tenant(splitting->segments[i].parameter)) {
            splitting->tenant = i;
        }
    }
}

/** Return the path up to the key, which is the resource of an action. */
static const char *find_resource(const splitting_t *splitting)
{
    const char *path = "";

    for (int i = 0; i <= splitting->key; i++) {
        const segment_t *segment = &splitting->segments[i];
        apr_size_t len = segment->verb ? (apr_size_t)(strrchr(segment->text, ':') - segment->text)
                                       : strlen(segment->text);

        path = apr_pstrcat(splitting->pool, path, "/",
                           apr_pstrmemdup(splitting->pool, segment->text, len), NULL);
    }
    return path;
}

ctl_rules_path_t *ctl_rules_path(ctl_rules_t *rules, const char *text, const char *method)
{
    apr_pool_t *pool = rules->ctl->pool;
    splitting_t splitting = {.rules = rules, .pool = pool, .key = -1, .tenant = -1, .noun = -1};
    ctl_rules_path_t *path = apr_pcalloc(pool, sizeof(*path));
    const char *regex = escape_regex(pool, rules->prefix), *url = rules->prefix;
    apr_size_t len = strlen(text);
    int parent;

    path->text = text;
    split_path(&splitting, text);
    if (splitting.count == 0) {
        return path;
    }
    find_parts(&splitting, path, method);
    path->collection = "";
    for (int i = 0; i < splitting.count; i++) {
        write_segment(&splitting, i, &regex, &url);
        if (i <= splitting.noun) {
            path->collection = apr_pstrcat(
                pool, path->collection, "/",
                splitting.segments[i].parameter ? "{}" : splitting.segments[i].words, NULL);
        }
        if (i == splitting.key && path->action) {
            path->url = url;
            path->resource = find_resource(&splitting);
        }
    }
    path->regex = apr_pstrcat(pool, "^", regex, text[len - 1] == '/' ? "/$" : "$", NULL);
    if (splitting.noun >= 0) {
        path->noun = ctl_singular(pool, splitting.segments[splitting.noun].words);
        parent = noun_before(&splitting, splitting.noun);
        path->parent = parent >= 0 ? ctl_singular(pool, splitting.segments[parent].words) : NULL;
    }
    return path;
}
