/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/* Strings of JSON: reading and writing escapes. */
#include "rh_json.h"
#include "rh_json_tree.h"

/** U+FFFD, which replaces what is not a character. */
#define REPLACEMENT 0xfffdU

/** Read four hexadecimal digits. */
static unsigned int read_unit(const char *digits)
{
    unsigned int unit = 0;

    for (int i = 0; i < 4; i++) {
        unit = unit << 4 | ((unsigned int)rh_hex_value(digits[i]) & 0xf);
    }
    return unit;
}

static bool is_surrogate(unsigned int code)
{
    return code >= 0xd800 && code < 0xe000;
}

static char *put_utf8(char *to, unsigned int code)
{
    if (code < 0x80) {
        *to++ = (char)code;
    } else if (code < 0x800) {
        *to++ = (char)(0xc0 | code >> 6);
        *to++ = (char)(0x80 | (code & 0x3f));
    } else if (code < 0x10000) {
        *to++ = (char)(0xe0 | code >> 12);
        *to++ = (char)(0x80 | (code >> 6 & 0x3f));
        *to++ = (char)(0x80 | (code & 0x3f));
    } else {
        *to++ = (char)(0xf0 | code >> 18);
        *to++ = (char)(0x80 | (code >> 12 & 0x3f));
        *to++ = (char)(0x80 | (code >> 6 & 0x3f));
        *to++ = (char)(0x80 | (code & 0x3f));
    }
    return to;
}

/** Decode the four digits of an escape, and of the second one of a surrogate pair. */
static const char *decode_unicode(const char *at, const char *end, unsigned int *code)
{
    *code = read_unit(at);
    at += 4;
    if (*code >= 0xd800 && *code < 0xdc00 && end - at >= 6 && at[0] == '\\' && at[1] == 'u') {
        unsigned int low = read_unit(at + 2);

        if (low >= 0xdc00 && low < 0xe000) {
            *code = 0x10000 + ((*code - 0xd800) << 10) + (low - 0xdc00);
            at += 6;
        }
    }
    return at;
}

/**
 * Decode the escape after a backslash.
 * @param replace a lone surrogate becomes U+FFFD; false: its three bytes
 * @return after the escape; NULL: the text ends within it
 */
static const char *decode_escape(const char *at, const char *end, bool replace, char **to)
{
    static const char letters[] = "bfnrt", codes[] = "\b\f\n\r\t";
    const char *letter;
    unsigned int code;

    if (at >= end) {
        return NULL;
    }
    if (*at != 'u') {
        letter = strchr(letters, *at);
        *(*to)++ = letter ? codes[letter - letters] : *at;
        return at + 1;
    }
    if (end - at < 5) {
        return NULL;
    }
    at = decode_unicode(at + 1, end, &code);
    *to = put_utf8(*to, replace && is_surrogate(code) ? REPLACEMENT : code);
    return at;
}

/** @return false: the text ends within an escape */
static bool decode(apr_pool_t *pool, const char *raw, apr_size_t len, bool replace,
                   rh_bytes_t *decoded)
{
    const char *end = raw + len;
    /* An escape is never shorter than the character that it stands for. */
    char *buffer = apr_palloc(pool, len + 1), *to = buffer;

    while (raw && raw < end) {
        if (*raw == '\\') {
            raw = decode_escape(raw + 1, end, replace, &to);
        } else {
            *to++ = *raw++;
        }
    }
    *to = '\0';
    decoded->data = buffer;
    decoded->len = (apr_size_t)(to - buffer);
    return raw != NULL;
}

rh_bytes_t rh_json_decode(apr_pool_t *pool, const char *raw, apr_size_t len)
{
    rh_bytes_t decoded = {raw, len};

    if (memchr(raw, '\\', len)) {
        (void)decode(pool, raw, len, false, &decoded);
    }
    return decoded;
}

const char *rh_json_string(apr_pool_t *pool, rh_bytes_t value)
{
    rh_bytes_t text;

    if (value.len < 2 || value.data[0] != '"' || value.data[value.len - 1] != '"' ||
        !decode(pool, value.data + 1, value.len - 2, true, &text)) {
        return NULL;
    }
    return memchr(text.data, '\0', text.len) ? NULL : text.data;
}

/** Maximum length of an escape. */
#define ESCAPE_BYTES 6
/** Number of bytes that are quoted at once. */
#define PIECE_BYTES 256

/** Write the escape of a byte that a string can't contain unescaped. @return its end */
static char *put_escape(char *to, unsigned char c)
{
    static const char digits[] = "0123456789abcdef";

    *to++ = '\\';
    if (c >= 0x20) {
        *to++ = (char)c;
        return to;
    }
    memcpy(to, "u00", 3);
    to[3] = digits[c >> 4];
    to[4] = digits[c & 0xf];
    return to + 5;
}

static char *put_escaped(char *to, const char *data, apr_size_t len)
{
    for (apr_size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)data[i];

        if (rh_json_special[c]) {
            to = put_escape(to, c);
        } else {
            *to++ = (char)c;
        }
    }
    return to;
}

static apr_size_t escaped_size(const char *data, apr_size_t len)
{
    apr_size_t size = len;

    for (apr_size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)data[i];

        if (rh_json_special[c]) {
            size += c >= 0x20 ? 1 : ESCAPE_BYTES - 1;
        }
    }
    return size;
}

void rh_json_add_quoted(rh_buffer_t *buffer, const char *data, apr_size_t len)
{
    rh_buffer_add(buffer, "\"", 1);
    while (len > 0) {
        apr_size_t piece = len < PIECE_BYTES ? len : PIECE_BYTES, size = piece * ESCAPE_BYTES;
        char *to;

        /* Near the end of its memory a buffer must not grow for escapes that may not come. */
        if (size > buffer->size - buffer->len) {
            size = escaped_size(data, piece);
        }
        to = rh_buffer_reserve(buffer, size);
        buffer->len += (apr_size_t)(put_escaped(to, data, piece) - to);
        data += piece;
        len -= piece;
    }
    rh_buffer_add(buffer, "\"", 1);
}

void rh_json_add_text(rh_buffer_t *buffer, const char *text)
{
    apr_size_t len = strlen(text);
    const char *clean = rh_utf8_clean(buffer->pool, text, len, len);

    rh_json_add_quoted(buffer, clean, strlen(clean));
}

const char *rh_json_quote(apr_pool_t *pool, const char *data, apr_size_t len)
{
    rh_buffer_t buffer = {.pool = pool};

    (void)rh_buffer_reserve(&buffer, len + 3);
    rh_json_add_quoted(&buffer, data, len);
    rh_buffer_add(&buffer, "", 1);
    return buffer.data;
}
