/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/* Writes capture rules and event types as directives, and their samples and schemas as files. */
#include "ctl_rules.h"

#include "rh_json_schema.h"

#include <apr_file_io.h>
#include <apr_hash.h>
#include <apr_strings.h>

void ctl_rules_note(ctl_rules_t *rules, const char *method, const char *path, const char *why)
{
    APR_ARRAY_PUSH(rules->notes, const char *) = apr_psprintf(
        rules->ctl->pool, "# %s %s: %s", ctl_safe(rules->ctl->pool, method, strlen(method), false),
        ctl_safe(rules->ctl->pool, path, strlen(path), false), why);
}

/* ---- files ---- */

/** Write JSON to a file of the directory. @return its path; NULL: an error was printed */
static const char *write_file(ctl_rules_t *rules, const char *type, const char *what,
                              struct json_object *tree)
{
    apr_pool_t *pool = rules->ctl->pool;
    const char *path = apr_pstrcat(pool, rules->directory, "/", type, what, ".json", NULL);
    const char *text = json_object_to_json_string_ext(
        tree, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED | JSON_C_TO_STRING_NOSLASHESCAPE);
    apr_file_t *file;
    apr_status_t status;
    char reason[120];

    status = apr_file_open(&file, path, APR_WRITE | APR_CREATE | APR_TRUNCATE | APR_BINARY,
                           APR_OS_DEFAULT, pool);
    if (status == APR_SUCCESS) {
        status = apr_file_write_full(file, text, strlen(text), NULL);
        status = status == APR_SUCCESS ? apr_file_write_full(file, "\n", 1, NULL) : status;
        apr_file_close(file);
    }
    if (status != APR_SUCCESS) {
        (void)ctl_fail(rules->ctl, "%s: %s", path, apr_strerror(status, reason, sizeof(reason)));
        return NULL;
    }
    return path;
}

/** Write a type's sample. @return the text for the line of the type */
static const char *write_sample(ctl_rules_t *rules, const ctl_rule_t *rule)
{
    struct json_object *sample = json_object_get(rule->item.example);
    const char *path;

    sample = sample ? sample : ctl_rules_sample(rules, rule->item.schema);
    if (!sample) {
        return "";
    }
    path = write_file(rules, rule->type, ".sample", sample);
    json_object_put(sample);
    return path ? apr_pstrcat(rules->ctl->pool, " \"", path, "\"", NULL) : "";
}

/** Write its schema, if events can be checked against it. @return likewise */
static const char *write_schema(ctl_rules_t *rules, const ctl_rule_t *rule)
{
    apr_pool_t *pool = rules->ctl->pool;
    struct json_object *schema;
    rh_json_schema_t *compiled;
    const char *path, *reason;
    apr_size_t len;
    const char *text;

    if (!rule->item.schema) {
        return "";
    }
    schema = rh_json_own(pool, ctl_rules_schema(rules, rule->item.schema));
    text = rh_json_text(pool, schema, &len);
    if (rh_json_schema_compile(pool, text, len, &compiled, &reason) != APR_SUCCESS) {
        ctl_rules_note(rules, "schema of", rule->type,
                       apr_pstrcat(pool, "left out: ", reason, NULL));
        return "";
    }
    path = write_file(rules, rule->type, ".schema", schema);
    return path ? apr_pstrcat(pool, " \"schema=", path, "\"", NULL) : "";
}

/* ---- output ---- */

static void print_rules(ctl_rules_t *rules)
{
    bool observe = ctl_has(rules->ctl, CTL_OBSERVE);

    for (int i = 0; i < rules->rules->nelts; i++) {
        const ctl_rule_t *rule = APR_ARRAY_IDX(rules->rules, i, ctl_rule_t *);

        printf("RestHooksEvent %s %s \"%s\"%s%s\n", rule->type, rule->methods, rule->path->regex,
               rule->options, observe ? " observe" : "");
    }
}

/** Print one line per type, using the first rule that has a schema. */
static void print_types(ctl_rules_t *rules)
{
    apr_hash_t *done = apr_hash_make(rules->ctl->pool);

    for (int pass = 0; pass < 2; pass++) {
        for (int i = 0; i < rules->rules->nelts; i++) {
            const ctl_rule_t *rule = APR_ARRAY_IDX(rules->rules, i, ctl_rule_t *);
            const char *sample = "", *schema = "";

            if ((pass == 0 && !rule->item.schema) ||
                apr_hash_get(done, rule->type, APR_HASH_KEY_STRING)) {
                continue;
            }
            apr_hash_set(done, rule->type, APR_HASH_KEY_STRING, "");
            if (rules->directory) {
                sample = write_sample(rules, rule);
                schema = write_schema(rules, rule);
            }
            printf("RestHooksEventType %s \"%s\"%s%s\n", rule->type,
                   *rule->description ? rule->description : rule->type, sample, schema);
        }
    }
}

void ctl_rules_write(ctl_rules_t *rules)
{
    print_rules(rules);
    print_types(rules);
}
