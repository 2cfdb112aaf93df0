/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/* Converts YAML into the tree of the equivalent JSON. */
#include "ctl_rules.h"

#include <apr_hash.h>
#include <errno.h>
#include <stdlib.h>
#include <yaml.h>

/** Maximum nesting. */
#define MAX_DEPTH 100

typedef struct loader_t {
    apr_pool_t *pool;
    yaml_parser_t parser;
    apr_hash_t *anchors; /**< of struct json_object *, owned by the tree */
    const char *reason;  /**< NULL: no error so far */
    apr_size_t line;
} loader_t;

static bool set_error(loader_t *loader, apr_size_t line, const char *reason)
{
    if (!loader->reason) {
        loader->reason = reason;
        loader->line = line + 1;
    }
    return false;
}

static bool next_event(loader_t *loader, yaml_event_t *event)
{
    if (yaml_parser_parse(&loader->parser, event)) {
        return true;
    }
    return set_error(loader, loader->parser.problem_mark.line,
                     loader->parser.problem ? apr_pstrdup(loader->pool, loader->parser.problem)
                                            : "cannot be parsed");
}

/** Convert a plain scalar by the core schema (YAML 1.2 §10.3.2); json-c keeps a number's text. */
static struct json_object *plain_json(const char *text)
{
    static const char *const nulls[] = {"", "~", "null", "Null", "NULL", NULL};
    static const char *const yes[] = {"true", "True", "TRUE", NULL};
    static const char *const no[] = {"false", "False", "FALSE", NULL};
    char *end;
    long long integer;
    double number;

    if (ctl_word_in(text, nulls)) {
        return NULL;
    }
    if (ctl_word_in(text, yes) || ctl_word_in(text, no)) {
        return json_object_new_boolean(ctl_word_in(text, yes));
    }
    if (strspn(text, "0123456789+-.eE") != strlen(text)) {
        return json_object_new_string(text);
    }
    errno = 0;
    integer = strtoll(text, &end, 10);
    if (end != text && !*end && errno == 0) {
        return json_object_new_int64(integer);
    }
    number = strtod(text, &end);
    return end != text && !*end ? json_object_new_double_s(number, text)
                                : json_object_new_string(text);
}

static bool load_value(loader_t *loader, yaml_event_t *event, int depth,
                       struct json_object **value);

/** Load the following events into a sequence or mapping, up to its end. */
static bool load_children(loader_t *loader, struct json_object *parent, bool mapping, int depth)
{
    yaml_event_type_t end = mapping ? YAML_MAPPING_END_EVENT : YAML_SEQUENCE_END_EVENT;

    for (;;) {
        struct json_object *value = NULL;
        const char *name = NULL;
        yaml_event_t event;
        bool loaded;

        if (!next_event(loader, &event)) {
            return false;
        }
        if (event.type == end) {
            yaml_event_delete(&event);
            return true;
        }
        if (mapping) {
            if (event.type != YAML_SCALAR_EVENT) {
                apr_size_t line = event.start_mark.line;

                yaml_event_delete(&event);
                return set_error(loader, line, "a key is not a scalar");
            }
            name = apr_pstrdup(loader->pool, (const char *)event.data.scalar.value);
            yaml_event_delete(&event);
            if (!next_event(loader, &event)) {
                return false;
            }
        }
        loaded = load_value(loader, &event, depth + 1, &value);
        yaml_event_delete(&event);
        if (mapping) {
            json_object_object_add(parent, name, value);
        } else {
            json_object_array_add(parent, value);
        }
        if (!loaded) {
            return false;
        }
    }
}

static void keep_anchor(loader_t *loader, const yaml_char_t *anchor, struct json_object *value)
{
    if (anchor) {
        apr_hash_set(loader->anchors, apr_pstrdup(loader->pool, (const char *)anchor),
                     APR_HASH_KEY_STRING, value);
    }
}

/**
 * Load the value that begins with an event. @param value receives a reference, even after an error
 */
static bool load_value(loader_t *loader, yaml_event_t *event, int depth, struct json_object **value)
{
    if (depth > MAX_DEPTH) {
        return set_error(loader, event->start_mark.line, "nested too deeply");
    }
    switch (event->type) {
    case YAML_SCALAR_EVENT:
        *value = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE
                     ? plain_json((const char *)event->data.scalar.value)
                     : json_object_new_string((const char *)event->data.scalar.value);
        keep_anchor(loader, event->data.scalar.anchor, *value);
        return true;
    case YAML_ALIAS_EVENT:
        *value = apr_hash_get(loader->anchors, event->data.alias.anchor, APR_HASH_KEY_STRING);
        *value = json_object_get(*value);
        return *value || set_error(loader, event->start_mark.line, "an alias without its anchor");
    case YAML_SEQUENCE_START_EVENT:
        *value = json_object_new_array();
        if (!load_children(loader, *value, false, depth)) {
            return false;
        }
        keep_anchor(loader, event->data.sequence_start.anchor, *value);
        return true;
    case YAML_MAPPING_START_EVENT:
        *value = json_object_new_object();
        if (!load_children(loader, *value, true, depth)) {
            return false;
        }
        keep_anchor(loader, event->data.mapping_start.anchor, *value);
        return true;
    default:
        return set_error(loader, event->start_mark.line, "not a value");
    }
}

struct json_object *ctl_yaml_parse(ctl_t *ctl, rh_bytes_t text, const char **reason)
{
    loader_t loader = {.pool = ctl->pool, .anchors = apr_hash_make(ctl->pool)};
    struct json_object *tree = NULL;
    yaml_event_t event;
    bool loaded = false;

    if (!yaml_parser_initialize(&loader.parser)) {
        *reason = "out of memory";
        return NULL;
    }
    yaml_parser_set_input_string(&loader.parser, (const unsigned char *)text.data, text.len);
    while (next_event(&loader, &event)) {
        bool prologue =
            event.type == YAML_STREAM_START_EVENT || event.type == YAML_DOCUMENT_START_EVENT;

        loaded = !prologue && load_value(&loader, &event, 0, &tree);
        yaml_event_delete(&event);
        if (!prologue) {
            break;
        }
    }
    yaml_parser_delete(&loader.parser);
    rh_json_own(ctl->pool, tree);
    *reason = loader.reason ? apr_psprintf(ctl->pool, "%s, in line %" APR_SIZE_T_FMT, loader.reason,
                                           loader.line)
                            : "it is empty";
    return loaded ? tree : NULL;
}
