/* Licensed under the Apache License, Version 2.0: see LICENSE. */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "rh_iregexp.h"

#include <pcre2.h>
#include <stdlib.h>
#include <string.h>

/** Limits of one match: calls of the matcher, depth of backtracking, KiB of memory. */
#define MATCH_LIMIT 100000
#define DEPTH_LIMIT 10000
#define HEAP_LIMIT_KIB 4096
/** Largest number in a quantifier; PCRE2's own limit is 65,535. */
#define MAX_REPEAT 1000
/** Maximum nesting of groups. */
#define MAX_DEPTH 50

struct rh_iregexp_t {
    pcre2_code *whole, *part;
};

/** State of translating a pattern to PCRE2's language and checking it by RFC 9485's grammar. */
typedef struct translator_t {
    const char *at, *end;
    char *to; /**< has room for 8 bytes per byte of the pattern */
    int depth;
} translator_t;

static void put(translator_t *translator, const char *text)
{
    apr_size_t len = strlen(text);

    memcpy(translator->to, text, len);
    translator->to += len;
}

static bool translate_branches(translator_t *translator);

/** Copy one character, which may have several bytes, so that PCRE2 takes it literally. */
static bool copy_plain(translator_t *translator)
{
    if (strchr("^$#&~", *translator->at)) {
        *translator->to++ = '\\';
    }
    do {
        *translator->to++ = *translator->at++;
    } while (translator->at < translator->end && ((unsigned char)*translator->at & 0xc0) == 0x80);
    return true;
}

/** Translate \p{Lu} or \P{L}: the general categories of the grammar. */
static bool translate_category(translator_t *translator)
{
    static const char *const categories[] = {"L",  "Ll", "Lm", "Lo", "Lt", "Lu", "M",  "Mc", "Me",
                                             "Mn", "N",  "Nd", "Nl", "No", "P",  "Pc", "Pd", "Pe",
                                             "Pf", "Pi", "Po", "Ps", "Z",  "Zl", "Zp", "Zs", "S",
                                             "Sc", "Sk", "Sm", "So", "C",  "Cc", "Cf", "Cn", "Co"};
    const char *name = translator->at + 3, *close;

    if (translator->end - translator->at < 5 || translator->at[2] != '{') {
        return false;
    }
    close = memchr(name, '}', (size_t)(translator->end - name));
    for (size_t i = 0; close && i < RH_COUNT_OF(categories); i++) {
        if (strlen(categories[i]) == (size_t)(close - name) &&
            memcmp(categories[i], name, (size_t)(close - name)) == 0) {
            while (translator->at <= close) {
                *translator->to++ = *translator->at++;
            }
            return true;
        }
    }
    return false;
}

/** Translate an escape sequence of a single character. */
static bool translate_single_escape(translator_t *translator)
{
    if (translator->end - translator->at < 2 || !translator->at[1] ||
        !strchr("()*+-.?[\\]^nrt{|}", translator->at[1])) {
        return false;
    }
    *translator->to++ = *translator->at++;
    *translator->to++ = *translator->at++;
    return true;
}

static bool translate_escape(translator_t *translator)
{
    bool category = translator->end - translator->at > 1 &&
                    (translator->at[1] == 'p' || translator->at[1] == 'P');

    return category ? translate_category(translator) : translate_single_escape(translator);
}

/** Translate one character of a class, escaped or not. */
static bool translate_class_char(translator_t *translator)
{
    if (translator->at >= translator->end || strchr("-[]", *translator->at)) {
        return false;
    }
    return *translator->at == '\\' ? translate_single_escape(translator) : copy_plain(translator);
}

/** Translate the inside of a class in brackets. */
static bool translate_class(translator_t *translator)
{
    bool empty = true;

    *translator->to++ = *translator->at++;
    if (translator->at < translator->end && *translator->at == '^') {
        *translator->to++ = *translator->at++;
    }
    if (translator->at < translator->end && *translator->at == '-') {
        put(translator, "\\-");
        translator->at++;
        empty = false;
    }
    while (translator->at < translator->end && *translator->at != ']') {
        if (*translator->at == '-') { /* allowed only right before the end */
            put(translator, "\\-");
            translator->at++;
            if (translator->at >= translator->end || *translator->at != ']') {
                return false;
            }
            empty = false;
            break;
        }
        if (*translator->at == '\\' && translator->end - translator->at > 1 &&
            (translator->at[1] == 'p' || translator->at[1] == 'P')) {
            if (!translate_category(translator)) {
                return false;
            }
        } else {
            if (!translate_class_char(translator)) {
                return false;
            }
            if (translator->end - translator->at > 1 && *translator->at == '-' &&
                translator->at[1] != ']') {
                *translator->to++ = *translator->at++;
                if (!translate_class_char(translator)) {
                    return false;
                }
            }
        }
        empty = false;
    }
    if (empty || translator->at >= translator->end) {
        return false;
    }
    *translator->to++ = *translator->at++;
    return true;
}

static bool translate_group(translator_t *translator)
{
    if (++translator->depth > MAX_DEPTH) {
        return false;
    }
    translator->at++;
    put(translator, "(?:");
    if (!translate_branches(translator) || translator->at >= translator->end ||
        *translator->at != ')') {
        return false;
    }
    translator->depth--;
    *translator->to++ = *translator->at++;
    return true;
}

static bool translate_atom(translator_t *translator)
{
    switch (*translator->at) {
    case '(':
        return translate_group(translator);
    case '[':
        return translate_class(translator);
    case '\\':
        return translate_escape(translator);
    case '.':
        translator->at++;
        put(translator, "[^\\n\\r]");
        return true;
    case '^':
    case '$':
        *translator->to++ = *translator->at++;
        return true;
    case ')':
    case '*':
    case '+':
    case '?':
    case ']':
    case '{':
    case '|':
    case '}':
        return false;
    default:
        return copy_plain(translator);
    }
}

/** Read a number in a quantifier. @return -1: it is missing or too large */
static int copy_count(translator_t *translator)
{
    int value = -1;

    while (translator->at < translator->end && rh_is_digit(*translator->at)) {
        value = (value < 0 ? 0 : value) * 10 + (*translator->at - '0');
        if (value > MAX_REPEAT) {
            return -1;
        }
        *translator->to++ = *translator->at++;
    }
    return value;
}

static bool translate_quantifier(translator_t *translator)
{
    int low, high;

    if (translator->at >= translator->end || !strchr("*+?{", *translator->at)) {
        return true;
    }
    if (*translator->at != '{') {
        *translator->to++ = *translator->at++;
        return true;
    }
    *translator->to++ = *translator->at++;
    low = copy_count(translator);
    if (low < 0) {
        return false;
    }
    if (translator->at < translator->end && *translator->at == ',') {
        *translator->to++ = *translator->at++;
        if (translator->at < translator->end && *translator->at != '}') {
            high = copy_count(translator);
            if (high < low) {
                return false;
            }
        }
    }
    if (translator->at >= translator->end || *translator->at != '}') {
        return false;
    }
    *translator->to++ = *translator->at++;
    return true;
}

static bool translate_branches(translator_t *translator)
{
    for (;;) {
        while (translator->at < translator->end && *translator->at != '|' &&
               *translator->at != ')') {
            if (!translate_atom(translator) || !translate_quantifier(translator)) {
                return false;
            }
        }
        if (translator->at >= translator->end || *translator->at == ')') {
            return true;
        }
        *translator->to++ = *translator->at++;
    }
}

static apr_status_t free_code(void *code)
{
    pcre2_code_free(code);
    return APR_SUCCESS;
}

static pcre2_code *compile(apr_pool_t *pool, const char *text, uint32_t options)
{
    PCRE2_SIZE offset;
    int error;
    pcre2_code *code =
        pcre2_compile((PCRE2_SPTR)text, PCRE2_ZERO_TERMINATED,
                      PCRE2_UTF | PCRE2_DOLLAR_ENDONLY | options, &error, &offset, NULL);

    if (code) {
        apr_pool_cleanup_register(pool, code, free_code, apr_pool_cleanup_null);
    }
    return code;
}

static bool is_text(rh_bytes_t pattern)
{
    return pattern.len <= RH_IREGEXP_MAX_LEN && !memchr(pattern.data, '\0', pattern.len) &&
           rh_utf8_valid(pattern.data, pattern.len);
}

apr_status_t rh_iregexp_compile_ecma(apr_pool_t *pool, rh_bytes_t pattern, rh_iregexp_t **regexp)
{
    rh_iregexp_t *made = apr_pcalloc(pool, sizeof(*made));

    if (is_text(pattern)) {
        made->part = compile(pool, apr_pstrmemdup(pool, pattern.data, pattern.len),
                             PCRE2_ALT_BSUX | PCRE2_MATCH_UNSET_BACKREF | PCRE2_NEVER_BACKSLASH_C);
    }
    *regexp = made;
    return made->part ? APR_SUCCESS : APR_EINVAL;
}

apr_status_t rh_iregexp_compile(apr_pool_t *pool, rh_bytes_t pattern, rh_iregexp_t **regexp)
{
    translator_t translator = {pattern.data, pattern.data + pattern.len, NULL, 0};
    rh_iregexp_t *made = apr_palloc(pool, sizeof(*made));
    char *text;

    if (!is_text(pattern)) {
        return APR_EINVAL;
    }
    text = translator.to = apr_palloc(pool, pattern.len * 8 + 1);
    if (!translate_branches(&translator) || translator.at != translator.end) {
        return APR_EINVAL;
    }
    *translator.to = '\0';
    made->part = compile(pool, text, PCRE2_NO_AUTO_CAPTURE);
    made->whole =
        compile(pool, apr_pstrcat(pool, "\\A(?:", text, ")\\z", NULL), PCRE2_NO_AUTO_CAPTURE);
    if (!made->part || !made->whole) {
        return APR_EINVAL;
    }
    *regexp = made;
    return APR_SUCCESS;
}

bool rh_iregexp_match(const rh_iregexp_t *regexp, rh_bytes_t text, bool whole)
{
    const pcre2_code *code = whole ? regexp->whole : regexp->part;
    pcre2_match_context *context = pcre2_match_context_create(NULL);
    pcre2_match_data *data = pcre2_match_data_create_from_pattern(code, NULL);
    int result = PCRE2_ERROR_NOMEMORY;

    if (context && data) {
        pcre2_set_match_limit(context, MATCH_LIMIT);
        pcre2_set_depth_limit(context, DEPTH_LIMIT);
        pcre2_set_heap_limit(context, HEAP_LIMIT_KIB);
        result = pcre2_match(code, (PCRE2_SPTR)(text.data ? text.data : ""), text.len, 0, 0, data,
                             context);
    }
    pcre2_match_data_free(data);
    pcre2_match_context_free(context);
    return result >= 0;
}
