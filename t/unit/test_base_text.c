/* Licensed under the Apache License, Version 2.0: see LICENSE. */
#include "rh_base.h"

#include "tap.h"

#include <apr_general.h>

static apr_pool_t *pool;

static void utf8(void)
{
    static const char *const good[] = {
        "",
        "plain",
        "\xc2\x80",
        "\xdf\xbf",
        "\xe0\xa0\x80",
        "\xed\x9f\xbf",
        "\xee\x80\x80",
        "\xef\xbf\xbf",
        "\xf0\x90\x80\x80",
        "\xf4\x8f\xbf\xbf",
        "more than eight bytes of ASCII, then \xe2\x82\xac and more of it",
    };
    static const char *const bad[] = {
        "\x80",
        "\xbf",
        "\xc0\x80",
        "\xc1\xbf",
        "\xc2",
        "\xc2\x41",
        "\xe0\x80\x80",
        "\xe0\x9f\xbf",
        "\xe2\x82",
        "\xed\xa0\x80",
        "\xed\xbf\xbf",
        "\xf0\x80\x80\x80",
        "\xf0\x8f\xbf\xbf",
        "\xf4\x90\x80\x80",
        "\xf5\x80\x80\x80",
        "\xf8\x88\x80\x80\x80",
        "\xff",
        "\xf0\x9f\x98\x41",
        "eight by\xc2",
        "eight byte\xe2\x82",
    };

    for (apr_size_t i = 0; i < RH_COUNT_OF(good); i++) {
        ok(rh_utf8_valid(good[i], strlen(good[i])), "UTF-8: valid text %d", (int)i);
        is(rh_utf8_clean(pool, good[i], strlen(good[i]), 1000), good[i], "it needs no cleaning");
    }
    for (apr_size_t i = 0; i < RH_COUNT_OF(bad); i++) {
        const char *clean = rh_utf8_clean(pool, bad[i], strlen(bad[i]), 1000);

        ok(!rh_utf8_valid(bad[i], strlen(bad[i])), "UTF-8: invalid text %d", (int)i);
        ok(rh_utf8_valid(clean, strlen(clean)) && strstr(clean, "\xef\xbf\xbd"),
           "invalid bytes become U+FFFD");
    }
    ok(rh_utf8_valid("a\0b", 3), "NUL is valid UTF-8");
    is(rh_utf8_clean(pool, "a\0b\xff", 4, 100),
       "a\xef\xbf\xbd"
       "b\xef\xbf\xbd",
       "cleaning removes a NUL");
    is(rh_utf8_clean(pool, "abcdef", 6, 3), "abc", "a text is cut at the limit");
    is(rh_utf8_clean(pool, "ab\xe2\x82\xac", 5, 3), "ab", "a cut leaves no half of a character");
    is(rh_utf8_clean(pool, "ab\xe2\x82\xac", 5, 4), "ab", "nor two thirds of one");
    is(rh_utf8_clean(pool, "ab\xe2\x82\xac", 5, 5), "ab\xe2\x82\xac",
       "a complete character is kept");
    is(rh_utf8_clean(pool,
                     "\xe2\x82\xac"
                     "b",
                     4, 3),
       "\xe2\x82\xac", "also directly before the cut");
    is(rh_utf8_clean(pool, "\xf0\x9f\x98\x80", 4, 0), "", "an empty text stays empty");
}

/* ---- ASCII, tokens, lists ---- */

static rh_bytes_t bytes(const char *text)
{
    return rh_bytes_of(text);
}

static void ascii(void)
{
    int digits = 0, letters = 0, hex = 0, controls = 0;

    for (int c = 0; c < 256; c++) {
        digits += rh_is_digit((char)c);
        letters += rh_is_alpha((char)c);
        hex += rh_is_hex((char)c);
        controls += rh_is_control((char)c);
    }
    is_int(digits, 10, "of 256 bytes 10 are digits");
    is_int(letters, 52, "52 are letters");
    is_int(hex, 22, "22 are hexadecimal digits");
    is_int(controls, 33, "33 are control characters");
    ok(rh_hex_value('0') == 0 && rh_hex_value('a') == 10 && rh_hex_value('F') == 15 &&
           rh_hex_value('g') == -1 && rh_hex_value('`') == -1 && rh_hex_value('@') == -1,
       "hexadecimal digits have values");
    ok(rh_lower('Z') == 'z' && rh_lower('[') == '[' && rh_lower((char)0xc4) == (char)0xc4,
       "only ASCII has lower case");
}

static void tokens(void)
{
    static const char *const good[] = {"a", "X-Api-Key", "!#$%&'*+-.^_`|~09azAZ"};
    static const char *const bad[] = {"",    "a b",      "a:",    "a\t", "(a)",
                                      "a,b", "\xc3\xa4", "a\x7f", "\""};
    int wrong = 0;

    for (apr_size_t i = 0; i < RH_COUNT_OF(good); i++) {
        ok(rh_is_token(bytes(good[i])), "%s is a token", good[i]);
    }
    for (apr_size_t i = 0; i < RH_COUNT_OF(bad); i++) {
        ok(!rh_is_token(bytes(bad[i])), "token %d is refused", (int)i);
    }
    for (int c = 0; c < 256; c++) {
        char one = (char)c;
        bool token = rh_is_token((rh_bytes_t){&one, 1});

        wrong += token != (c && (rh_is_alphanumeric(one) || strchr("!#$%&'*+-.^_`|~", one)));
    }
    is_int(wrong, 0, "exactly the bytes of RFC 9110 are token characters");
    ok(!rh_is_token((rh_bytes_t){"a\0b", 3}), "a NUL is not one");
    ok(rh_equals_word(bytes("ChunkeD"), "chunked") && !rh_equals_word(bytes("chunke"), "chunked") &&
           !rh_equals_word(bytes("chunkedx"), "chunked"),
       "a word is compared without case, and completely");
}

static void lists(void)
{
    rh_bytes_t list = bytes(" , a,\tb c ,, d\t"), item;
    char got[64] = "";

    while (rh_list_next(&list, &item)) {
        strncat(got, item.data, item.len);
        strcat(got, "|");
    }
    is(got, "a|b c|d|", "a list has its items without the blanks around them");
    list = bytes(",, ,");
    ok(!rh_list_next(&list, &item), "a list may be empty");
    is_int(rh_trimmed(bytes(" \t ")).len, 0, "blanks are not an item");
    is_int(rh_trimmed(bytes("\n")).len, 1, "a line feed is not a blank");
}

static void numbers(void)
{
    ok(rh_number_of(bytes("0")) == 0 && rh_number_of(bytes("007")) == 7, "digits are a number");
    ok(rh_number_of(bytes("999999999999999999")) == APR_INT64_C(999999999999999999),
       "a number has at most 18 digits");
    ok(rh_number_of(bytes("1000000000000000000")) == -1 && rh_number_of(bytes("")) == -1 &&
           rh_number_of(bytes("-1")) == -1 && rh_number_of(bytes("+1")) == -1 &&
           rh_number_of(bytes("1 ")) == -1 && rh_number_of(bytes("0x1")) == -1,
       "anything else is not a number");
}

static void buffers(void)
{
    rh_buffer_t buffer = {.pool = pool};
    apr_size_t sizes = 0, last = 0;

    rh_buffer_add(&buffer, "", 0);
    ok(!buffer.data && buffer.len == 0, "an empty buffer takes no memory");
    for (int i = 0; i < 5000; i++) {
        rh_buffer_add(&buffer, "0123456789", 10);
        sizes += buffer.size == last ? 0 : buffer.size;
        last = buffer.size;
    }
    is_int(buffer.len, 50000, "it grows");
    ok(memcmp(buffer.data, "0123456789", 10) == 0 &&
           memcmp(buffer.data + 49990, "0123456789", 10) == 0,
       "it keeps its contents when it grows");
    ok(sizes < 4 * buffer.len, "it takes at most four times their size");
    ok(rh_buffer_reserve(&buffer, 1000000) == buffer.data + 50000 && buffer.len == 50000,
       "reserved memory is not content");
}

static void names(void)
{
    char text[RH_MAX_NAME + 2];

    memset(text, 'x', sizeof(text));
    ok(rh_name_valid(text, RH_MAX_NAME), "a name may have 255 bytes");
    ok(!rh_name_valid(text, RH_MAX_NAME + 1), "a name may not have 256 bytes");
    ok(!rh_name_valid("", 0), "a name is not empty");
    ok(rh_name_valid("acme / \xc3\xa9\xe4\xb8\xad 7", 13), "a name may be international");
    ok(rh_name_valid("\xc2\xa0", 2), "U+00A0 is not a control character");
    ok(!rh_name_valid("a\nb", 3), "a line feed is not allowed in a name");
    ok(!rh_name_valid("a\0b", 3), "a NUL is not allowed");
    ok(!rh_name_valid("a\x7f", 2), "DEL is not allowed");
    ok(!rh_name_valid("a\xc2\x85", 3), "nor is U+0085");
    ok(!rh_name_valid("a\xff", 2), "invalid UTF-8 is not allowed");
}

typedef struct seen_t {
    int count;
    rh_log_level_t level;
    apr_status_t status;
    char tag[16], message[2048];
} seen_t;

static void remember(void *baton, rh_log_level_t level, apr_status_t status, const char *tag,
                     const char *message)
{
    seen_t *seen = baton;

    seen->count++;
    seen->level = level;
    seen->status = status;
    apr_cpystrn(seen->tag, tag, sizeof(seen->tag));
    apr_cpystrn(seen->message, message, sizeof(seen->message));
}

static void logging(void)
{
    seen_t seen = {0, RH_LOG_DEBUG, 0, "", ""};
    rh_log_t log = {remember, &seen, RH_LOG_INFO};
    char large[4000];

    rh_log(NULL, RH_LOG_ERR, 0, "RH0000", "nowhere");
    rh_log(&log, RH_LOG_DEBUG, 0, "RH0000", "too fine");
    is_int(seen.count, 0, "a message above the level is not written");
    rh_log(&log, RH_LOG_WARN, APR_EINVAL, "RH0001", "event %s: %d", "x\ny", 7);
    is(seen.message, "event x y: 7", "a message is one line");
    is(seen.tag, "RH0001", "it has its tag");
    is_int(seen.level, RH_LOG_WARN, "its level");
    is_int(seen.status, APR_EINVAL, "it has its status");
    memset(large, 'x', sizeof(large));
    large[sizeof(large) - 1] = '\0';
    rh_log(&log, RH_LOG_INFO, 0, "RH0002", "%s", large);
    ok(strlen(seen.message) >= 1000 && strlen(seen.message) < 1100, "a long message is truncated");
    log.write = NULL;
    rh_log(&log, RH_LOG_ERR, 0, "RH0003", "no writer");
    is_int(seen.count, 2, "a log without a writer is silent");
}

int main(void)
{
    apr_initialize();
    apr_pool_create(&pool, NULL);
    utf8();
    ascii();
    tokens();
    lists();
    numbers();
    buffers();
    names();
    logging();
    apr_pool_destroy(pool);
    apr_terminate();
    return done_testing();
}
