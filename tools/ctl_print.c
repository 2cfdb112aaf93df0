/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/* Prints tables, members and JSON, without anything that a terminal would interpret. */
#include "ctl.h"

#include <unistd.h>

/** Maximum length of an escape, in bytes. */
#define MAX_ESCAPE_BYTES 6

static apr_uint32_t code_point(const unsigned char *at, apr_size_t len)
{
    static const unsigned char mask[] = {0, 0x7f, 0x1f, 0x0f, 0x07};
    apr_uint32_t code = at[0] & mask[len];

    for (apr_size_t i = 1; i < len; i++) {
        code = code << 6 | (at[i] & 0x3f);
    }
    return code;
}

/** True for control characters, and for those that change how the rest of a line is displayed. */
static bool is_harmful(apr_uint32_t code)
{
    return code < 0x20 || (code >= 0x7f && code < 0xa0) || code == 0x200e || code == 0x200f ||
           (code >= 0x2028 && code <= 0x202e) || (code >= 0x2066 && code <= 0x2069);
}

const char *ctl_safe(apr_pool_t *pool, const char *data, apr_size_t len, bool lines)
{
    const unsigned char *at = (const unsigned char *)data, *end = at + len;
    char *result = apr_palloc(pool, len * MAX_ESCAPE_BYTES + 1), *to = result;

    while (at < end) {
        apr_size_t length = rh_utf8_length(at, end);
        apr_uint32_t code = length ? code_point(at, length) : 0;

        if (length == 0) {
            to += sprintf(to, "\\x%02x", *at++);
            continue;
        }
        if (lines && code == '\n') {
            *to++ = '\n';
        } else if (code == '\n' || code == '\r' || code == '\t') {
            *to++ = '\\';
            *to++ = code == '\n' ? 'n' : code == '\r' ? 'r' : 't';
        } else if (is_harmful(code)) {
            to += sprintf(to, "\\u%04x", code);
        } else {
            memcpy(to, at, length);
            to += length;
        }
        at += length;
    }
    *to = '\0';
    return result;
}

void ctl_print_raw(ctl_t *ctl, rh_bytes_t json)
{
    if (isatty(STDOUT_FILENO)) {
        fputs(ctl_safe(ctl->pool, json.data, json.len, true), stdout);
    } else {
        fwrite(json.data, 1, json.len, stdout);
    }
    if (json.len == 0 || json.data[json.len - 1] != '\n') {
        putchar('\n');
    }
}

/* ---- values ---- */

/** Return any value as one line. */
static const char *value_text(apr_pool_t *pool, struct json_object *value)
{
    const char *text;
    apr_size_t len;

    if (!value) {
        return "-";
    }
    if (json_object_is_type(value, json_type_string)) {
        text = json_object_get_string(value);
        return *text ? ctl_safe(pool, text, (apr_size_t)json_object_get_string_len(value), false)
                     : "-";
    }
    if (json_object_is_type(value, json_type_array)) {
        text = NULL;
        for (apr_size_t i = 0; i < json_object_array_length(value); i++) {
            const char *item = value_text(pool, json_object_array_get_idx(value, i));

            text = text ? apr_pstrcat(pool, text, " ", item, NULL) : item;
        }
        return text ? text : "-";
    }
    text = rh_json_text(pool, value, &len);
    return ctl_safe(pool, text, len, false);
}

const char *ctl_text(apr_pool_t *pool, struct json_object *object, const char *member)
{
    const char *dot;

    while ((dot = strchr(member, '.')) != NULL) {
        if (!json_object_object_get_ex(object, apr_pstrmemdup(pool, member, dot - member),
                                       &object)) {
            return "-";
        }
        member = dot + 1;
    }
    return json_object_object_get_ex(object, member, &object) ? value_text(pool, object) : "-";
}

static bool is_excepted(const char *name, const char *const *except)
{
    while (except && *except && strcmp(*except, name) != 0) {
        except++;
    }
    return except && *except;
}

void ctl_print_members(ctl_t *ctl, struct json_object *object, int indent,
                       const char *const *except)
{
    int width = 0;

    json_object_object_foreach(object, measured, unused)
    {
        int len = (int)strlen(measured);

        (void)unused;
        width = len > width && len <= 24 && !is_excepted(measured, except) ? len : width;
    }
    json_object_object_foreach(object, name, value)
    {
        const char *shown = ctl_safe(ctl->pool, name, strlen(name), false);

        if (is_excepted(name, except)) {
            continue;
        }
        if (json_object_is_type(value, json_type_object) && json_object_object_length(value) > 0) {
            printf("%*s%s\n", indent, "", shown);
            ctl_print_members(ctl, value, indent + 2, NULL);
        } else {
            printf("%*s%-*s  %s\n", indent, "", width, shown, value_text(ctl->pool, value));
        }
    }
}

void ctl_print_pretty(ctl_t *ctl, struct json_object *value, int indent)
{
    const char *text = json_object_to_json_string_ext(
        value, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED | JSON_C_TO_STRING_NOSLASHESCAPE);
    char *last, *line = apr_pstrdup(ctl->pool, ctl_safe(ctl->pool, text, strlen(text), true));

    for (line = apr_strtok(line, "\n", &last); line; line = apr_strtok(NULL, "\n", &last)) {
        printf("%*s%s\n", indent, "", line);
    }
}

/* ---- tables ---- */

/** Approximate display width in columns. */
static int width_of(const char *text)
{
    int width = 0;

    for (; *text; text++) {
        width += ((unsigned char)*text & 0xc0) != 0x80;
    }
    return width;
}

static void print_cell(const char *text, int width, bool last)
{
    fputs(text, stdout);
    if (last) {
        putchar('\n');
    } else {
        printf("%*s", width - width_of(text) + 2, "");
    }
}

void ctl_print_table(ctl_t *ctl, struct json_object *rows, const ctl_column_t *columns)
{
    apr_size_t count = json_object_array_length(rows);
    int number = 0;
    int *width;

    while (columns[number].heading) {
        number++;
    }
    width = apr_palloc(ctl->pool, (apr_size_t)number * sizeof(int));
    for (int i = 0; i < number; i++) {
        width[i] = width_of(columns[i].heading);
        for (apr_size_t row = 0; row < count; row++) {
            int cell = width_of(
                ctl_text(ctl->pool, json_object_array_get_idx(rows, row), columns[i].member));

            width[i] = cell > width[i] ? cell : width[i];
        }
    }
    for (int i = 0; i < number; i++) {
        print_cell(columns[i].heading, width[i], i == number - 1);
    }
    for (apr_size_t row = 0; row < count; row++) {
        for (int i = 0; i < number; i++) {
            print_cell(ctl_text(ctl->pool, json_object_array_get_idx(rows, row), columns[i].member),
                       width[i], i == number - 1);
        }
    }
}
