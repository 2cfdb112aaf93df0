/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/* The literal ends of regular expressions: those of usual patterns, and that none is too long. */
#include "rh_regex_ends.h"

#include "tap.h"

#include <apr_general.h>
#include <apr_strings.h>
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#define PATTERNS 300000

static apr_pool_t *pool;

static const char *ends_of(const char *pattern)
{
    rh_regex_ends_t ends;

    rh_regex_ends_find(pool, pattern, &ends);
    return apr_psprintf(pool, "%.*s…%.*s", (int)ends.prefix.len, ends.prefix.data,
                        (int)ends.suffix.len, ends.suffix.data);
}

static void test_usual(void)
{
    static const struct {
        const char *pattern, *ends;
    } cases[] = {
        {"^/employers/(?<tenant>[^/]+)/employees$", "/employers/…/employees"},
        {"^/a/b$", "/a/b…/a/b"},
        {"^/a\\.json$", "/a.json…/a.json"},
        {"^/v\\d+/a", "/v…"},
        {"^/ab*c?/d{2}e$", "/a…e"},
        {"^/a/?$", "/a…"},
        {"/a$", "…/a"},
        {"^/(?:a|b)/c$", "/…/c"},
        {"^/[]$/]x$", "/…x"},
        {"^/a|b$", "…"},
        {"^/a(?i)b$", "…"},
        {"^/a(?=b)", "…"},
        {"^/\\Qa.b\\E$", "…"},
        {"^/(a\\[b)c$", "/…c"},
        {"", "…"},
    };

    for (int i = 0; i < (int)RH_COUNT_OF(cases); i++) {
        is(ends_of(cases[i].pattern), cases[i].ends,
           apr_psprintf(pool, "the ends of %s", cases[i].pattern));
    }
}

static unsigned int next_random(unsigned int limit)
{
    static unsigned int state = 4711;

    state = state * 1664525u + 1013904223u;
    return (state >> 8) % limit;
}

static const char *make_text(const char *const *parts, unsigned int count, unsigned int most,
                             char *text)
{
    unsigned int length = next_random(most + 1);

    text[0] = '\0';
    while (length-- > 0) {
        strcat(text, parts[next_random(count)]);
    }
    return text;
}

/** Return a text that a random pattern matches and that does not fit its ends; NULL: there is none.
 */
static const char *find_contradiction(int *matched)
{
    static const char *const parts[] = {
        "/", "a", "b",   "(",     ")", "(?:", "|",  "[ab]", ".",     "[^/",   "]",      "*",
        "+", "?", "{2}", "{0,1}", "{", "\\d", "\\", "\\[",  "(?<n>", "(?i)a", "\\Qa\\E"};
    static const char *const characters[] = {"/", "a", "b", "A", "1", "["};
    char middle[64], pattern[80], text[16];
    pcre2_match_data *data = pcre2_match_data_create(16, NULL);
    const char *found = NULL;

    for (int i = 0; i < PATTERNS && !found; i++) {
        rh_regex_ends_t ends;
        pcre2_code *code;
        PCRE2_SIZE offset;
        int error;

        apr_snprintf(pattern, sizeof(pattern), "%s%s%s", next_random(4) ? "^" : "",
                     make_text(parts, RH_COUNT_OF(parts), 8, middle), next_random(4) ? "$" : "");
        code = pcre2_compile((PCRE2_SPTR)pattern, PCRE2_ZERO_TERMINATED,
                             PCRE2_DOTALL | PCRE2_DOLLAR_ENDONLY, &error, &offset, NULL);
        if (!code) {
            continue;
        }
        rh_regex_ends_find(pool, pattern, &ends);
        for (int k = 0; k < 8 && !found; k++) {
            make_text(characters, RH_COUNT_OF(characters), 6, text);
            if (pcre2_match(code, (PCRE2_SPTR)text, strlen(text), 0, 0, data, NULL) >= 0) {
                *matched += 1;
                if (!rh_regex_ends_fit(&ends, text, strlen(text))) {
                    found = apr_psprintf(pool, "%s matches %s", pattern, text);
                }
            }
        }
        pcre2_code_free(code);
        if (!found) {
            apr_pool_clear(pool);
        }
    }
    pcre2_match_data_free(data);
    return found;
}

int main(void)
{
    int matched = 0;
    const char *contradiction;

    apr_initialize();
    apr_pool_create(&pool, NULL);
    test_usual();
    contradiction = find_contradiction(&matched);
    is(contradiction, NULL, "every text that a pattern matches has its ends");
    ok(matched > PATTERNS / 100, "many texts were matched (%d)", matched);
    apr_pool_destroy(pool);
    apr_terminate();
    return done_testing();
}
