/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/* Parameters of lists that search in events: key, source, q. */
#include "rh_api.h"

#include "rh_time.h"

/** Maximum period that is searched. */
#define MAX_SEARCH apr_time_from_sec(7 * 86400)

/**
 * Return the sources of the parameter `source` as a JSON array; observed events are also captured.
 */
static const char *read_sources(rh_api_t *api, const char *source)
{
    static const char *const names[] = {"publish", "sql", "test"};

    if (strcmp(source, "capture") == 0) {
        return "[\"capture\",\"observed\"]";
    }
    for (apr_size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strcmp(source, names[i]) == 0) {
            return apr_pstrcat(api->r->pool, "[\"", names[i], "\"]", NULL);
        }
    }
    rh_problem_set(api->problem, 400,
                   "The parameter source must be capture, publish, sql or test.");
    return NULL;
}

bool rh_api_read_search(rh_api_t *api, rh_search_t *search)
{
    const char *source = apr_table_get(api->query, "source");
    const char *text = apr_table_get(api->query, "q");

    search->key = apr_table_get(api->query, "key");
    search->sources = source ? read_sources(api, source) : NULL;
    search->text = text && *text ? text : NULL;
    return search->key || search->sources || search->text;
}

void rh_api_bound_search(rh_api_t *api, apr_time_t *from, apr_time_t *to)
{
    apr_time_t now = apr_time_now();

    if (*to == 0 || *to > now) {
        *to = now + apr_time_from_sec(60);
    }
    if (*from < *to - MAX_SEARCH) {
        *from = *to - MAX_SEARCH;
    }
    apr_table_setn(api->r->headers_out, "X-Hook-Searched",
                   apr_pstrcat(api->r->pool, rh_time_format(api->r->pool, *from), "/",
                               rh_time_format(api->r->pool, *to), NULL));
}
