/* Licensed under the Apache License, Version 2.0: see LICENSE. */
#include "rh_text.h"

#include <apr_hash.h>
#include <apr_strings.h>
#include <strings.h>

#define FIRST_BYTES 256
/** U+FFFD */
#define REPLACEMENT "\xef\xbf\xbd"

void rh_lower_text(char *text)
{
    for (; *text; text++) {
        *text = rh_lower(*text);
    }
}

/* ---- runs of bytes ---- */

rh_bytes_t rh_bytes_of(const char *text)
{
    rh_bytes_t bytes = {text, strlen(text)};

    return bytes;
}

/** The characters of tokens. */
static const bool token_characters[256] = {
    ['!'] = true,         ['#'] = true,         ['$'] = true,         ['%'] = true, ['&'] = true,
    ['\''] = true,        ['*'] = true,         ['+'] = true,         ['-'] = true, ['.'] = true,
    ['^'] = true,         ['_'] = true,         ['`'] = true,         ['|'] = true, ['~'] = true,
    ['0' ... '9'] = true, ['A' ... 'Z'] = true, ['a' ... 'z'] = true,
};

bool rh_is_token(rh_bytes_t text)
{
    for (apr_size_t i = 0; i < text.len; i++) {
        if (!token_characters[(unsigned char)text.data[i]]) {
            return false;
        }
    }
    return text.len > 0;
}

bool rh_bytes_equal(rh_bytes_t a, rh_bytes_t b)
{
    return a.len == b.len && memcmp(a.data, b.data, a.len) == 0;
}

bool rh_equals_word(rh_bytes_t text, const char *word)
{
    return text.len == strlen(word) && strncasecmp(text.data, word, text.len) == 0;
}

int rh_word_index(const char *const *words, int count, const char *word)
{
    for (int i = 0; i < count; i++) {
        if (words[i] && strcmp(words[i], word) == 0) {
            return i;
        }
    }
    return -1;
}

bool rh_has_word(const char *list, const char *word)
{
    apr_size_t len = strlen(word);

    while (*list) {
        apr_size_t span = strcspn(list, " ");

        if (span == len && memcmp(list, word, len) == 0) {
            return true;
        }
        list += span;
        list += strspn(list, " ");
    }
    return false;
}

rh_bytes_t rh_trimmed(rh_bytes_t text)
{
    while (text.len && rh_is_blank(text.data[0])) {
        text.data++;
        text.len--;
    }
    while (text.len && rh_is_blank(text.data[text.len - 1])) {
        text.len--;
    }
    return text;
}

bool rh_list_next(rh_bytes_t *list, rh_bytes_t *item)
{
    while (list->len) {
        const char *comma = memchr(list->data, ',', list->len);
        apr_size_t len = comma ? (apr_size_t)(comma - list->data) : list->len;

        item->data = list->data;
        item->len = len;
        *item = rh_trimmed(*item);
        len += comma ? 1 : 0;
        list->data += len;
        list->len -= len;
        if (item->len) {
            return true;
        }
    }
    return false;
}

apr_int64_t rh_number_of(rh_bytes_t text)
{
    apr_int64_t number = 0;

    if (text.len == 0 || text.len > 18) {
        return -1;
    }
    for (apr_size_t i = 0; i < text.len; i++) {
        if (!rh_is_digit(text.data[i])) {
            return -1;
        }
        number = number * 10 + (text.data[i] - '0');
    }
    return number;
}

/* ---- UTF-8 ---- */

apr_size_t rh_utf8_length(const unsigned char *at, const unsigned char *end)
{
    unsigned char low = 0x80, high = 0xbf;
    apr_size_t len;

    if (*at < 0x80) {
        return 1;
    }
    if (*at < 0xc2 || *at > 0xf4) {
        return 0;
    }
    len = *at < 0xe0 ? 2 : *at < 0xf0 ? 3 : 4;
    if ((apr_size_t)(end - at) < len) {
        return 0;
    }
    if (*at == 0xe0) {
        low = 0xa0;
    } else if (*at == 0xed) {
        high = 0x9f;
    } else if (*at == 0xf0) {
        low = 0x90;
    } else if (*at == 0xf4) {
        high = 0x8f;
    }
    if (at[1] < low || at[1] > high) {
        return 0;
    }
    for (apr_size_t i = 2; i < len; i++) {
        if (at[i] < 0x80 || at[i] > 0xbf) {
            return 0;
        }
    }
    return len;
}

/** Find the first byte that may not be ASCII, eight bytes at a time; `end`: there is none. */
static const unsigned char *skip_ascii(const unsigned char *at, const unsigned char *end)
{
    while (end - at >= 8) {
        apr_uint64_t word;

        memcpy(&word, at, sizeof(word));
        if (word & APR_UINT64_C(0x8080808080808080)) {
            break;
        }
        at += 8;
    }
    while (at < end && *at < 0x80) {
        at++;
    }
    return at;
}

bool rh_utf8_valid(const char *data, apr_size_t len)
{
    const unsigned char *at = (const unsigned char *)data;
    const unsigned char *end = at + len;

    while (at < end) {
        apr_size_t step;

        at = skip_ascii(at, end);
        if (at == end) {
            break;
        }
        step = rh_utf8_length(at, end);

        if (step == 0) {
            return false;
        }
        at += step;
    }
    return true;
}

/** Return the length of the sequence at `at` if it is kept unchanged; 0: it is replaced. */
static apr_size_t kept_length(const unsigned char *at, const unsigned char *end)
{
    return *at ? rh_utf8_length(at, end) : 0;
}

static apr_size_t clean_length(const unsigned char *at, const unsigned char *end)
{
    apr_size_t len = 0;

    while (at < end) {
        apr_size_t step = kept_length(at, end);

        len += step ? step : sizeof(REPLACEMENT) - 1;
        at += step ? step : 1;
    }
    return len;
}

const char *rh_utf8_clean(apr_pool_t *pool, const char *data, apr_size_t len, apr_size_t max)
{
    const unsigned char *at = (const unsigned char *)data;
    const unsigned char *end = at + len;
    apr_size_t used = 0;
    char *clean;

    if (len > max) {
        len = max;
        /* A sequence that would be cut in two is left out. */
        for (int back = 1; back <= 3 && (apr_size_t)back <= len; back++) {
            apr_size_t start = len - (apr_size_t)back;

            if (at[start] >= 0xc0) {
                if (rh_utf8_length(at + start, end) > (apr_size_t)back) {
                    len = start;
                }
                break;
            }
        }
        end = at + len;
    }
    if (len > 0 && rh_utf8_valid(data, len) && !memchr(data, '\0', len)) {
        return apr_pstrmemdup(pool, data, len); /* usually */
    }
    clean = apr_palloc(pool, clean_length(at, end) + 1);
    while (at < end) {
        apr_size_t step = kept_length(at, end);

        if (step) {
            memcpy(clean + used, at, step);
            used += step;
            at += step;
        } else {
            memcpy(clean + used, REPLACEMENT, sizeof(REPLACEMENT) - 1);
            used += sizeof(REPLACEMENT) - 1;
            at++;
        }
    }
    clean[used] = '\0';
    return clean;
}

/* ---- a buffer that grows ---- */

char *rh_buffer_grow(rh_buffer_t *buffer, apr_size_t more)
{
    apr_size_t size = buffer->size ? buffer->size : FIRST_BYTES;
    char *larger;

    while (size - buffer->len < more) {
        size *= 2;
    }
    larger = apr_palloc(buffer->pool, size);
    if (buffer->len) {
        memcpy(larger, buffer->data, buffer->len);
    }
    buffer->data = larger;
    buffer->size = size;
    return larger + buffer->len;
}

void rh_buffer_add(rh_buffer_t *buffer, const char *data, apr_size_t len)
{
    if (len) {
        memcpy(rh_buffer_reserve(buffer, len), data, len);
        buffer->len += len;
    }
}

/* ---- hashes ---- */

apr_uint32_t rh_text_hash(const char *text, const char *more)
{
    apr_ssize_t len = APR_HASH_KEY_STRING;
    apr_uint32_t hash = apr_hashfunc_default(text, &len) * 2654435761U;

    len = APR_HASH_KEY_STRING;
    if (more) {
        hash ^= apr_hashfunc_default(more, &len);
    }
    return hash ^ hash >> 16;
}
