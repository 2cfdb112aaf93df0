/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/*
 * Templates of what was sent: each is stored once, before the first attempt that refers to it.
 *
 * A row's template must never be missing. A process remembers what it has stored, and stores it
 * again after an hour; the database notes once a day that it is in use. So the time of that note is
 * at most a day and an hour before the last use, and housekeeping, which keeps templates for two
 * days longer than any attempt that is still there, removes none that a process remembers or that a
 * row refers to.
 */
#include "rh_queue_private.h"
#include "rh_rows.h"

/** How long a process assumes that a template it stored still exists. */
#define MAX_AGE apr_time_from_sec(3600)

/** Return the cache entry that a template may occupy. */
static rh_known_template_t *find_entry(rh_queue_impl_t *queue, const char *id)
{
    return &queue->templates[rh_text_hash(id, NULL) % RH_KNOWN_TEMPLATES];
}

static bool is_known(rh_queue_impl_t *queue, const char *id, apr_time_t now)
{
    const rh_known_template_t *entry = find_entry(queue, id);

    return entry->stored_at != 0 && entry->stored_at <= now && now - entry->stored_at < MAX_AGE &&
           strcmp(entry->id, id) == 0;
}

/** Return a template's id. It depends on the tenant as well, so that one entry stands for one row.
 * NULL if OpenSSL fails. */
static const char *make_id(const rh_settle_t *settle, apr_pool_t *pool)
{
    const char *text = apr_pstrcat(pool, settle->tenant, "\n", settle->attempt.template, NULL);
    char id[RH_UUID_LEN + 1];

    return rh_uuid_digest(text, strlen(text), id) ? apr_pstrdup(pool, id) : NULL;
}

const char *rh_queue_template_rows(rh_queue_impl_t *queue, rh_settle_t *const *outcomes, int count,
                                   const char **ids, apr_array_header_t *fresh, apr_pool_t *pool)
{
    apr_hash_t *seen = apr_hash_make(pool);
    apr_time_t now = apr_time_now();
    rh_rows_t rows;

    rh_rows_begin(&rows, pool);
    for (int i = 0; i < count; i++) {
        const rh_settle_t *settle = outcomes[i];

        ids[i] = settle->kind != RH_SETTLE_RELEASE && settle->attempt.template
                     ? make_id(settle, pool)
                     : NULL;
        if (ids[i] && !is_known(queue, ids[i], now) && !apr_hash_get(seen, ids[i], RH_UUID_LEN)) {
            apr_hash_set(seen, ids[i], RH_UUID_LEN, ids[i]);
            APR_ARRAY_PUSH(fresh, const char *) = ids[i];
            rh_rows_next(&rows);
            rh_rows_text(&rows, "tenant", settle->tenant);
            rh_rows_text(&rows, "id", ids[i]);
            rh_rows_text(&rows, "text", settle->attempt.template);
        }
    }
    return fresh->nelts > 0 ? rh_rows_end(&rows) : NULL;
}

void rh_queue_templates_stored(rh_queue_impl_t *queue, const apr_array_header_t *fresh,
                               apr_status_t status)
{
    if (status != APR_SUCCESS) {
        memset(queue->templates, 0, sizeof(queue->templates));
        return;
    }
    for (int i = 0; i < fresh->nelts; i++) {
        const char *id = APR_ARRAY_IDX(fresh, i, const char *);
        rh_known_template_t *entry = find_entry(queue, id);

        apr_cpystrn(entry->id, id, sizeof(entry->id));
        entry->stored_at = apr_time_now();
    }
}
