/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/* English word forms for the paths of APIs: plural nouns, verbs. */
#include "ctl_rules.h"

#include "rh_text.h"

#include <apr_strings.h>

bool ctl_word_in(const char *word, const char *const *list)
{
    while (*list && strcmp(*list, word) != 0) {
        list++;
    }
    return *list != NULL;
}

const char *ctl_words(apr_pool_t *pool, const char *text, apr_size_t len)
{
    char *words = apr_palloc(pool, len * 2 + 1), *to = words;

    for (apr_size_t i = 0; i < len; i++) {
        bool upper = text[i] >= 'A' && text[i] <= 'Z';
        bool after_lower =
            i > 0 && (rh_is_digit(text[i - 1]) || (text[i - 1] >= 'a' && text[i - 1] <= 'z'));

        if (!rh_is_alphanumeric(text[i])) {
            if (to > words && to[-1] != '_') {
                *to++ = '_';
            }
            continue;
        }
        if (upper && after_lower) {
            *to++ = '_';
        }
        *to++ = rh_lower(text[i]);
    }
    while (to > words && to[-1] == '_') {
        to--;
    }
    *to = '\0';
    return words;
}

/** Two forms of a word, or of an ending. */
typedef struct form_t {
    const char *from, *to;
} form_t;

static bool ends_with(const char *text, const char *end)
{
    apr_size_t len = strlen(text), end_len = strlen(end);

    return len > end_len && strcmp(text + len - end_len, end) == 0;
}

/** Replace the ending of a word by the first matching form; NULL: none matches. */
static const char *change_ending(apr_pool_t *pool, const char *word, const form_t *forms)
{
    for (; forms->from; forms++) {
        if (ends_with(word, forms->from)) {
            return apr_pstrcat(pool, apr_pstrmemdup(pool, word, strlen(word) - strlen(forms->from)),
                               forms->to, NULL);
        }
    }
    return NULL;
}

const char *ctl_singular(apr_pool_t *pool, const char *noun)
{
    static const char *const same[] = {"series", "news",  "data", "media", "status", "sms",
                                       "dns",    "https", "bus",  "ipfs",  "lfs",    "tls",
                                       "css",    "aws",   "gps",  "os",    NULL};
    static const form_t words[] = {{"people", "person"}, {"children", "child"},     {"men", "man"},
                                   {"indices", "index"}, {"criteria", "criterion"}, {NULL, NULL}};
    static const form_t endings[] = {{"ss", "ss"},   {"us", "us"},   {"is", "is"},   {"ies", "y"},
                                     {"sses", "ss"}, {"shes", "sh"}, {"ches", "ch"}, {"xes", "x"},
                                     {"zes", "ze"},  {"uses", "us"}, {"s", ""},      {NULL, NULL}};
    const char *last = strrchr(noun, '_'), *changed;

    last = last ? last + 1 : noun;
    if (ctl_word_in(last, same)) {
        return noun;
    }
    for (const form_t *word = words; word->from; word++) {
        if (strcmp(last, word->from) == 0) {
            return apr_pstrcat(pool, apr_pstrmemdup(pool, noun, (apr_size_t)(last - noun)),
                               word->to, NULL);
        }
    }
    changed = change_ending(pool, noun, endings);
    return changed ? changed : noun;
}

static bool is_vowel(char c)
{
    return c && strchr("aeiou", c);
}

/** A short verb doubles its last consonant: ship, shipped. */
static bool doubles(const char *verb)
{
    apr_size_t len = strlen(verb);
    int vowels = 0;

    for (apr_size_t i = 0; i < len; i++) {
        vowels += is_vowel(verb[i]);
    }
    return len >= 3 && vowels == 1 && is_vowel(verb[len - 2]) && !strchr("aeiouwxy", verb[len - 1]);
}

const char *ctl_participle(apr_pool_t *pool, const char *verb)
{
    static const form_t irregular[] = {{"pay", "paid"},
                                       {"repay", "repaid"},
                                       {"send", "sent"},
                                       {"resend", "resent"},
                                       {"hold", "held"},
                                       {"set", "set"},
                                       {"reset", "reset"},
                                       {"put", "put"},
                                       {"run", "run"},
                                       {"buy", "bought"},
                                       {"sell", "sold"},
                                       {"build", "built"},
                                       {"rebuild", "rebuilt"},
                                       {"begin", "begun"},
                                       {"take", "taken"},
                                       {"undo", "undone"},
                                       {"withdraw", "withdrawn"},
                                       {"read", "read"},
                                       {"unread", "unread"},
                                       {"split", "split"},
                                       {"leave", "left"},
                                       {"give", "given"},
                                       {"cancel", "cancelled"},
                                       {"submit", "submitted"},
                                       {"resubmit", "resubmitted"},
                                       {"transfer", "transferred"},
                                       {"refer", "referred"},
                                       {"permit", "permitted"},
                                       {"commit", "committed"},
                                       {"freeze", "frozen"},
                                       {"win", "won"},
                                       {"lose", "lost"},
                                       {"make", "made"}};
    apr_size_t len = strlen(verb);

    if (len < 2 || strchr(verb, '_') || ends_with(verb, "ed")) {
        return verb;
    }
    for (size_t i = 0; i < RH_COUNT_OF(irregular); i++) {
        if (strcmp(verb, irregular[i].from) == 0) {
            return irregular[i].to;
        }
    }
    if (verb[len - 1] == 'e') {
        return apr_pstrcat(pool, verb, "d", NULL);
    }
    if (verb[len - 1] == 'y' && !is_vowel(verb[len - 2])) {
        return apr_pstrcat(pool, apr_pstrmemdup(pool, verb, len - 1), "ied", NULL);
    }
    return apr_pstrcat(pool, verb, doubles(verb) ? verb + len - 1 : "", "ed", NULL);
}
