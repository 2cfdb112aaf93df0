/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/*
 * Measures the queue's own claim, on a connection of its own, as in a child of httpd. Jobs are
 * released between the claims, which is not measured.
 *
 * usage: claim CONNINFO COUNT    prints a line "microseconds jobs" for each claim
 */
#include "rh_json.h"
#include "rh_schema.h"
#include "rh_store_open.h"

#include <apr_general.h>
#include <stdio.h>
#include <stdlib.h>

#define LIMIT 256
#define PER_SUBSCRIPTION 16
#define LEASE 4711

static void write_log(void *baton, rh_log_level_t level, apr_status_t status, const char *tag,
                      const char *message)
{
    (void)baton;
    (void)level;
    (void)status;
    fprintf(stderr, "%s: %s\n", tag, message);
}

static apr_status_t give_back(rh_queue_t *queue, const apr_array_header_t *jobs, apr_pool_t *pool)
{
    rh_settle_t *outcomes = apr_pcalloc(pool, (apr_size_t)(jobs->nelts + 1) * sizeof(*outcomes));
    rh_settle_t **list = apr_palloc(pool, (apr_size_t)(jobs->nelts + 1) * sizeof(*list));
    apr_status_t status;
    int i;

    for (i = 0; i < jobs->nelts; i++) {
        const rh_job_t *job = APR_ARRAY_IDX(jobs, i, rh_job_t *);

        list[i] = &outcomes[i];
        outcomes[i].kind = RH_SETTLE_RELEASE;
        outcomes[i].tenant = job->tenant;
        outcomes[i].delivery_id = job->delivery_id;
        outcomes[i].subscription_id = job->subscription_id;
        outcomes[i].lease = LEASE;
    }
    status = queue->settle(queue, list, jobs->nelts, pool);
    for (i = 0; i < jobs->nelts; i++) {
        rh_job_destroy(APR_ARRAY_IDX(jobs, i, rh_job_t *));
    }
    return status;
}

int main(int argc, char **argv)
{
    static rh_log_t log = {write_log, NULL, RH_LOG_WARN};
    rh_db_source_t *source;
    apr_pool_t *root, *pool;
    rh_queue_t *queue;
    int count, i;

    if (argc != 3 || apr_initialize() != APR_SUCCESS) {
        return 2;
    }
    apr_pool_create(&root, NULL);
    apr_pool_create(&pool, root);
    if (rh_db_source_dedicated(root, "pgsql", argv[1], &log, &source) != APR_SUCCESS) {
        return 1;
    }
    queue = rh_queue_make(root, source);
    count = atoi(argv[2]);
    for (i = 0; i < count; i++) {
        rh_claim_t what = {.limit = LIMIT,
                           .per_subscription = PER_SUBSCRIPTION,
                           .lease_for = apr_time_from_sec(45),
                           .lease = LEASE};
        apr_array_header_t *jobs = apr_array_make(pool, LIMIT, sizeof(rh_job_t *));
        apr_time_t start = apr_time_now();

        if (queue->claim(queue, &what, pool, jobs) != APR_SUCCESS) {
            return 1;
        }
        printf("%" APR_TIME_T_FMT " %d\n", apr_time_now() - start, jobs->nelts);
        if (give_back(queue, jobs, pool) != APR_SUCCESS) {
            return 1;
        }
        apr_pool_clear(pool);
    }
    return 0;
}
