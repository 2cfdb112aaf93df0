/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/**
 * @file rh_text.h
 * @brief Text of protocols: ASCII, tokens, lists, UTF-8, and a growable buffer.
 *
 * ASCII here means ASCII in every locale, and takes plain chars, signed or not. Nothing here keeps
 * state; results are in the pool that is given.
 */
#ifndef RH_TEXT_H
#define RH_TEXT_H

#include <apr_pools.h>
#include <stdbool.h>
#include <string.h>

/** Number of elements of an array (not of a pointer). */
#define RH_COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

/** Break the build unless a condition holds. At file scope; `name` is not used twice in a file. */
#define RH_STATIC_ASSERT(condition, name) typedef char rh_static_assert_##name[(condition) ? 1 : -1]

/*
 * A closed set is a list macro whose rows begin with (id, "name"); its enum and the table of its
 * names come from that list, so neither can be shorter than the other:
 *
 *     static const char *const state_names[] = {RH_DELIVERY_STATES(RH_ROW_NAME)};
 */
#define RH_ROW_NAME(id, name) name,

/** A run of bytes that another owner keeps; not NUL-terminated. */
typedef struct rh_bytes_t {
    const char *data;
    apr_size_t len;
} rh_bytes_t;

/* ---- ASCII ---- */

static inline bool rh_is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static inline bool rh_is_alpha(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static inline bool rh_is_alphanumeric(char c)
{
    return rh_is_digit(c) || rh_is_alpha(c);
}

/** Space or tab, as between the parts of a header field (RFC 9110 section 5.6.3). */
static inline bool rh_is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static inline bool rh_is_control(char c)
{
    return (unsigned char)c < 0x20 || c == 0x7f;
}

static inline char rh_lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

/** Return the value of a hexadecimal digit of either case; -1: it is not one. */
static inline int rh_hex_value(char c)
{
    if (rh_is_digit(c)) {
        return c - '0';
    }
    c = rh_lower(c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static inline bool rh_is_hex(char c)
{
    return rh_hex_value(c) >= 0;
}

/** Convert a NUL-terminated text to lower case, in place. */
void rh_lower_text(char *text);

/* ---- runs of bytes ---- */

/** Return a NUL-terminated text as a run of bytes. */
rh_bytes_t rh_bytes_of(const char *text);

/** True for a token (RFC 9110 section 5.6.2): a method, the name of a field. */
bool rh_is_token(rh_bytes_t text);

/** True if both have the same bytes. */
bool rh_bytes_equal(rh_bytes_t a, rh_bytes_t b);

/** True if the bytes are this word, in any case. */
bool rh_equals_word(rh_bytes_t text, const char *word);

/** Return the index of a word among `count` words, any of which may be NULL; -1: none is equal. */
int rh_word_index(const char *const *words, int count, const char *word);

/** True if `word` is one of the words of `list`, which spaces separate. */
bool rh_has_word(const char *list, const char *word);

/** Return the bytes without the blanks around them. */
rh_bytes_t rh_trimmed(rh_bytes_t text);

/**
 * Take the next item off a comma-separated list, trimmed; empty ones are skipped (RFC 9110
 * section 5.6.1.2). False at the end.
 */
bool rh_list_next(rh_bytes_t *list, rh_bytes_t *item);

/** Return the number that 1 to 18 digits stand for; -1: they are anything else. */
apr_int64_t rh_number_of(rh_bytes_t text);

/* ---- UTF-8 ---- */

/** Return the length of the UTF-8 sequence at `at`, which is before `end`; 0: it is malformed (RFC
 * 3629 section 4). */
apr_size_t rh_utf8_length(const unsigned char *at, const unsigned char *end);

/** True if the bytes are well-formed UTF-8 (RFC 3629: no surrogates, no overlong forms). */
bool rh_utf8_valid(const char *data, apr_size_t len);

/**
 * Return the first `max` bytes as well-formed UTF-8 without NUL: malformed bytes and NULs become
 * U+FFFD.
 */
const char *rh_utf8_clean(apr_pool_t *pool, const char *data, apr_size_t len, apr_size_t max);

/* ---- a buffer that grows ---- */

/** A growable buffer. Set the pool and zero-initialise the rest. `data` is not NUL-terminated. */
typedef struct rh_buffer_t {
    apr_pool_t *pool;
    char *data;
    apr_size_t len, size;
} rh_buffer_t;

/** Move the content to memory with room for `more` bytes. Part of rh_buffer_reserve, whose result
 * it returns. */
char *rh_buffer_grow(rh_buffer_t *buffer, apr_size_t more);

/**
 * Make room for `more` bytes after the content. Sizes double, so that all the memory that
 * a buffer ever took is at most four times what it holds, or twice its first size.
 * @return their position; the caller adds the number of bytes written to `len`
 */
static inline char *rh_buffer_reserve(rh_buffer_t *buffer, apr_size_t more)
{
    return more > buffer->size - buffer->len ? rh_buffer_grow(buffer, more)
                                             : buffer->data + buffer->len;
}

void rh_buffer_add(rh_buffer_t *buffer, const char *data, apr_size_t len);

/* ---- hashes ---- */

/** Hash a text, or two together, spread over all bits. @param more NULL: there is one */
apr_uint32_t rh_text_hash(const char *text, const char *more);

#endif
