/* Licensed under the Apache License, Version 2.0: see LICENSE. */
#include "rh_regex_ends.h"

/** One element of a pattern, outside of groups. */
typedef enum {
    TOKEN_LITERAL,
    TOKEN_OTHER, /**< a class, a dot, a group */
    TOKEN_END,   /**< `$` as the last character */
    TOKEN_STOP,  /**< the pattern's end without `$` */
    TOKEN_ODD    /**< anything else, which is not analysed */
} token_t;

/** True for a group of the forms `(`, `(?:` and `(?<name>`; others are not analysed. */
static bool is_plain_group(const char *p)
{
    if (p[1] == '*') {
        return false;
    }
    return p[1] != '?' || p[2] == ':' || (p[2] == '<' && (rh_is_alpha(p[3]) || p[3] == '_'));
}

/** Skip `[…]`. @return NULL: it has no end */
static const char *skip_class(const char *p)
{
    p += p[1] == '^' ? 2 : 1;
    p += *p == ']' ? 1 : 0;
    while (*p && *p != ']') {
        if (*p == '[' && (p[1] == ':' || p[1] == '.' || p[1] == '=')) {
            return NULL; /* [:alpha:] ends with a bracket, too */
        }
        if (*p == '\\' && (p[1] == 'Q' || p[1] == '\0')) {
            return NULL;
        }
        p += *p == '\\' ? 2 : 1;
    }
    return *p ? p + 1 : NULL;
}

/** True for the backslash of an escape that stands for a literal or a class of characters. */
static bool is_plain_escape(const char *p)
{
    return p[1] != '\0' && (!rh_is_alphanumeric(p[1]) || strchr("dDsSwW", p[1]));
}

/** Skip `(…)` with its contents. @return NULL: it has something that is not analysed */
static const char *skip_group(const char *p)
{
    int depth = 0;

    while (p && *p) {
        if (*p == '(') {
            if (!is_plain_group(p)) {
                return NULL;
            }
            depth++;
        } else if (*p == ')' && --depth == 0) {
            return p + 1;
        }
        if (*p == '\\') {
            p = is_plain_escape(p) ? p + 2 : NULL;
        } else {
            p = *p == '[' ? skip_class(p) : p + 1;
        }
    }
    return NULL;
}

/** Read an element and skip it. */
static token_t next_token(const char **pattern, char *literal)
{
    const char *p = *pattern;
    token_t token = TOKEN_OTHER;

    if (*p == '\0') {
        return TOKEN_STOP;
    }
    if (*p == '$') {
        return p[1] == '\0' ? TOKEN_END : TOKEN_ODD;
    }
    if (*p == '(') {
        p = skip_group(p);
    } else if (*p == '[') {
        p = skip_class(p);
    } else if (*p == '.') {
        p++;
    } else if (*p == '\\' && is_plain_escape(p)) {
        token = rh_is_alphanumeric(p[1]) ? TOKEN_OTHER : TOKEN_LITERAL;
        *literal = p[1];
        p += 2;
    } else if (!strchr("\\|^)*+?{}", *p)) {
        token = TOKEN_LITERAL;
        *literal = *p++;
    } else {
        return TOKEN_ODD;
    }
    *pattern = p;
    return p ? token : TOKEN_ODD;
}

/** Skip a quantifier. @return false: there was none; *odd: it is an unusual one */
static bool skip_quantifier(const char **pattern, bool *odd)
{
    const char *p = *pattern;

    *odd = false;
    if (*p == '*' || *p == '+' || *p == '?') {
        p++;
    } else if (*p == '{') {
        p++;
        p += strspn(p, "0123456789");
        p += *p == ',' ? 1 : 0;
        p += strspn(p, "0123456789");
        *odd = *p != '}' || p[-1] == '{' || p[-1] == ',';
        p += *odd ? 0 : 1;
    } else {
        return false;
    }
    if (*p == '?' || *p == '+') {
        p++; /* lazy, possessive */
    }
    *pattern = p;
    return true;
}

void rh_regex_ends_find(apr_pool_t *pool, const char *pattern, rh_regex_ends_t *ends)
{
    apr_size_t size = strlen(pattern) + 1, prefix_len = 0, suffix_len = 0;
    char *prefix = apr_palloc(pool, size), *suffix = apr_palloc(pool, size);
    bool in_prefix = *pattern == '^', odd;
    token_t token;
    char literal;

    *ends = (rh_regex_ends_t){{"", 0}, {"", 0}};
    pattern += in_prefix ? 1 : 0;
    while ((token = next_token(&pattern, &literal)) <= TOKEN_OTHER) {
        bool repeated = skip_quantifier(&pattern, &odd);

        if (odd) {
            return;
        }
        if (token != TOKEN_LITERAL || repeated) {
            in_prefix = false;
            suffix_len = 0;
            continue;
        }
        suffix[suffix_len++] = literal;
        if (in_prefix) {
            prefix[prefix_len++] = literal;
        }
    }
    if (token == TOKEN_ODD) {
        return;
    }
    ends->prefix = (rh_bytes_t){prefix, prefix_len};
    if (token == TOKEN_END) {
        ends->suffix = (rh_bytes_t){suffix, suffix_len};
    }
}
