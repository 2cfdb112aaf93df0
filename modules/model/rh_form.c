/* Licensed under the Apache License, Version 2.0: see LICENSE. */
#include "rh_form.h"

#include "rh_json.h"

#include <apr_base64.h>
#include <apr_lib.h>
#include <apr_strings.h>
#include <string.h>

/** Maximum number of fields of one form; a body with more is not treated as a form. */
#define MAX_FIELDS 1000
#define MAX_BOUNDARY_BYTES 70 /* RFC 2046 §5.1.1 */

typedef struct field_t {
    rh_bytes_t name, value;
} field_t;

/** True if the media type, without its parameters, is `type`. */
static bool is_type(const char *content_type, const char *type)
{
    apr_size_t len = strcspn(content_type, "; \t");

    return len == strlen(type) && strncasecmp(content_type, type, len) == 0;
}

bool rh_form_type_is_json(const char *content_type)
{
    apr_size_t len = strcspn(content_type, "; \t");

    return is_type(content_type, "application/json") || is_type(content_type, "text/json") ||
           (len > 5 && strncasecmp(content_type + len - 5, "+json", 5) == 0);
}

static int hex_digit(char c)
{
    if (apr_isdigit(c)) {
        return c - '0';
    }
    c = (char)apr_tolower(c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/** Decode %XX and plus signs. What is not a valid escape stays as it is. */
static rh_bytes_t decode(apr_pool_t *pool, const char *data, apr_size_t len)
{
    char *text = apr_palloc(pool, len + 1), *end = text;

    for (apr_size_t i = 0; i < len; i++) {
        if (data[i] == '%' && i + 2 < len && hex_digit(data[i + 1]) >= 0 &&
            hex_digit(data[i + 2]) >= 0) {
            *end++ = (char)(hex_digit(data[i + 1]) * 16 + hex_digit(data[i + 2]));
            i += 2;
        } else {
            *end++ = data[i] == '+' ? ' ' : data[i];
        }
    }
    *end = '\0';
    return (rh_bytes_t){text, (apr_size_t)(end - text)};
}

static bool add_field(apr_array_header_t *fields, rh_bytes_t name, rh_bytes_t value)
{
    if (fields->nelts == MAX_FIELDS || !rh_utf8_valid(name.data, name.len) ||
        !rh_utf8_valid(value.data, value.len)) {
        return false;
    }
    APR_ARRAY_PUSH(fields, field_t) = (field_t){name, value};
    return true;
}

static bool read_urlencoded(apr_pool_t *pool, rh_bytes_t body, apr_array_header_t *fields)
{
    const char *at = body.data, *end = body.data + body.len;

    while (at < end) {
        const char *next = memchr(at, '&', (apr_size_t)(end - at));
        const char *stop = next ? next : end;
        const char *equals = memchr(at, '=', (apr_size_t)(stop - at));
        const char *name_end = equals ? equals : stop;
        const char *value = equals ? equals + 1 : stop;

        if (stop > at && !add_field(fields, decode(pool, at, (apr_size_t)(name_end - at)),
                                    decode(pool, value, (apr_size_t)(stop - value)))) {
            return false;
        }
        at = stop + 1;
    }
    return true;
}

static const char *find(const char *at, const char *end, const char *what, apr_size_t len)
{
    for (; (apr_size_t)(end - at) >= len; at++) {
        at = memchr(at, *what, (apr_size_t)(end - at) - len + 1);
        if (!at) {
            return NULL;
        }
        if (memcmp(at, what, len) == 0) {
            return at;
        }
    }
    return NULL;
}

/** Find a parameter in a header field: name="a \"b\"" or name=token. @return data NULL: none */
static rh_bytes_t find_parameter(apr_pool_t *pool, const char *at, const char *end,
                                 const char *name)
{
    apr_size_t len = strlen(name);
    bool quoted = false;
    char *text, *to;

    for (; at < end; at++) {
        if (*at == '"') {
            quoted = !quoted;
        } else if (*at == '\\' && quoted) {
            at++;
        } else if (*at == ';' && !quoted) {
            const char *p = at + 1;

            while (p < end && apr_isspace(*p)) {
                p++;
            }
            if ((apr_size_t)(end - p) > len && strncasecmp(p, name, len) == 0 && p[len] == '=') {
                at = p + len + 1;
                break;
            }
        }
    }
    if (at >= end) {
        return (rh_bytes_t){NULL, 0};
    }
    text = to = apr_palloc(pool, (apr_size_t)(end - at) + 1);
    quoted = *at == '"';
    for (at += quoted ? 1 : 0; at < end; at++) {
        if (quoted ? *at == '"' : *at == ';' || apr_isspace(*at)) {
            break;
        }
        if (quoted && *at == '\\' && at + 1 < end && at[1] == '"') {
            at++;
        }
        *to++ = *at;
    }
    *to = '\0';
    return (rh_bytes_t){text, (apr_size_t)(to - text)};
}

/** Read one part, header and content. @return false: it has no header or no name */
static bool read_part(apr_pool_t *pool, const char *at, const char *end, apr_array_header_t *fields)
{
    const char *content = find(at, end, "\r\n\r\n", 4);
    rh_bytes_t name = {NULL, 0}, file = {NULL, 0};

    if (!content) {
        return false;
    }
    while (at < content) {
        const char *line_end = find(at, content + 2, "\r\n", 2);

        line_end = line_end ? line_end : content;
        if ((apr_size_t)(line_end - at) > 20 && strncasecmp(at, "Content-Disposition:", 20) == 0) {
            name = find_parameter(pool, at, line_end, "name");
            file = find_parameter(pool, at, line_end, "filename");
        }
        at = line_end + 2;
    }
    content += 4;
    if (!name.data) {
        return false;
    }
    if (file.data) {
        return add_field(fields, name, file);
    }
    return add_field(fields, name, (rh_bytes_t){content, (apr_size_t)(end - content)});
}

static bool read_multipart(apr_pool_t *pool, const char *content_type, rh_bytes_t body,
                           apr_array_header_t *fields)
{
    const char *end = body.data + body.len, *at;
    rh_bytes_t boundary =
        find_parameter(pool, content_type, content_type + strlen(content_type), "boundary");
    const char *line;
    apr_size_t len;

    if (!boundary.data || boundary.len == 0 || boundary.len > MAX_BOUNDARY_BYTES) {
        return false;
    }
    line = apr_pstrcat(pool, "\r\n--", boundary.data, NULL);
    len = boundary.len + 4;
    if (body.len >= len - 2 && memcmp(body.data, line + 2, len - 2) == 0) {
        at = body.data + len - 2;
    } else {
        at = find(body.data, end, line, len);
        at = at ? at + len : NULL;
    }
    while (at && end - at >= 2 && memcmp(at, "--", 2) != 0) {
        const char *part = find(at, end, "\r\n", 2);
        const char *next = part ? find(part, end, line, len) : NULL;

        if (!next || !read_part(pool, part + 2, next, fields)) {
            return false;
        }
        at = next + len;
    }
    return at && end - at >= 2;
}

static const char *quote(apr_pool_t *pool, rh_bytes_t text)
{
    return rh_json_quote(pool, text.data, text.len);
}

/** Make an object of all fields; fields of the same name become one array. */
static rh_bytes_t write_object(apr_pool_t *pool, const apr_array_header_t *fields)
{
    apr_array_header_t *parts = apr_array_make(pool, fields->nelts * 4 + 2, sizeof(const char *));
    bool *written = apr_pcalloc(pool, (apr_size_t)fields->nelts + 1);
    const char *text, *separator = "{";

    for (int i = 0; i < fields->nelts; i++) {
        const field_t *field = &APR_ARRAY_IDX(fields, i, field_t);
        const char *values = quote(pool, field->value);
        bool repeated = false;

        if (written[i]) {
            continue;
        }
        APR_ARRAY_PUSH(parts, const char *) = separator;
        APR_ARRAY_PUSH(parts, const char *) = quote(pool, field->name);
        int colon = parts->nelts;
        APR_ARRAY_PUSH(parts, const char *) = ":";
        APR_ARRAY_PUSH(parts, const char *) = values;
        for (int j = i + 1; j < fields->nelts; j++) {
            const field_t *other = &APR_ARRAY_IDX(fields, j, field_t);

            if (!written[j] && rh_bytes_equal(field->name, other->name)) {
                APR_ARRAY_PUSH(parts, const char *) = ",";
                APR_ARRAY_PUSH(parts, const char *) = quote(pool, other->value);
                written[j] = repeated = true;
            }
        }
        if (repeated) {
            APR_ARRAY_IDX(parts, colon, const char *) = ":[";
            APR_ARRAY_PUSH(parts, const char *) = "]";
        }
        separator = ",";
    }
    APR_ARRAY_PUSH(parts, const char *) = fields->nelts > 0 ? "}" : "{}";
    text = apr_array_pstrcat(pool, parts, 0);
    return (rh_bytes_t){text, strlen(text)};
}

rh_bytes_t rh_form_read(apr_pool_t *pool, const char *content_type, rh_bytes_t body)
{
    apr_array_header_t *fields = apr_array_make(pool, 8, sizeof(field_t));
    bool read = false;

    if (is_type(content_type, "application/x-www-form-urlencoded")) {
        read = read_urlencoded(pool, body, fields);
    } else if (is_type(content_type, "multipart/form-data")) {
        read = read_multipart(pool, content_type, body, fields);
    }
    return read ? write_object(pool, fields) : (rh_bytes_t){NULL, 0};
}

rh_bytes_t rh_form_wrap(apr_pool_t *pool, const char *content_type, rh_bytes_t body)
{
    const char *type = rh_utf8_clean(pool, content_type, strlen(content_type), RH_MAX_NAME);
    const char *quoted = rh_json_quote(pool, type, strlen(type)), *text;
    char *code;

    if (rh_utf8_valid(body.data, body.len) && !memchr(body.data, '\0', body.len)) {
        text = apr_pstrcat(pool, "{\"content_type\":", quoted,
                           ",\"text\":", rh_json_quote(pool, body.data, body.len), "}", NULL);
    } else {
        code = apr_palloc(pool, (apr_size_t)apr_base64_encode_len((int)body.len));
        apr_base64_encode_binary(code, (const unsigned char *)body.data, (int)body.len);
        text = apr_pstrcat(pool, "{\"content_type\":", quoted, ",\"base64\":\"", code, "\"}", NULL);
    }
    return (rh_bytes_t){text, strlen(text)};
}
