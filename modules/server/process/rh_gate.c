/* Licensed under the Apache License, Version 2.0: see LICENSE. */
#include "rh_gate.h"

#include "rh_schema.h"

/** Maximum length of the text that says why the tables do not fit. */
#define RH_GATE_PROBLEM_BYTES 300

struct rh_gate_t {
    bool upgrade;
    const char *name;
    const rh_log_t *log;
    int open;    /**< atomic */
    int busy;    /**< atomic: a thread is checking the tables */
    int refused; /**< atomic: `problem` is set and does not change any more */
    char problem[RH_GATE_PROBLEM_BYTES];
};

typedef struct gate_source_t {
    rh_db_source_t base;
    rh_db_source_t *inner;
    rh_gate_t *gate;
} gate_source_t;

rh_gate_t *rh_gate_make(apr_pool_t *pool, bool upgrade, const char *name, const rh_log_t *log)
{
    rh_gate_t *gate = apr_pcalloc(pool, sizeof(*gate));

    gate->upgrade = upgrade;
    gate->name = name;
    gate->log = log;
    return gate;
}

/** Keep the first reason why the gate stays closed. Only one thread at a time gets here. */
static void note_problem(rh_gate_t *gate, const char *problem)
{
    if (!__atomic_load_n(&gate->refused, __ATOMIC_RELAXED)) {
        apr_cpystrn(gate->problem, problem, sizeof(gate->problem));
        __atomic_store_n(&gate->refused, 1, __ATOMIC_RELEASE);
    }
}

apr_status_t rh_gate_open(rh_gate_t *gate, rh_db_source_t *source, apr_pool_t *scratch,
                          const char **problem)
{
    apr_status_t status;

    *problem = NULL;
    status = rh_schema_ensure(source, gate->upgrade, scratch, problem);
    if (!*problem) {
        *problem = "no reason given";
    }
    if (APR_STATUS_IS_EMISMATCH(status) && !gate->upgrade) {
        *problem = apr_pstrcat(scratch, *problem, " (RestHooksSchema is check)", NULL);
    }
    if (status == APR_SUCCESS) {
        __atomic_store_n(&gate->open, 1, __ATOMIC_RELEASE);
    } else if (!APR_STATUS_IS_EAGAIN(status)) {
        note_problem(gate, *problem);
    }
    return status;
}

const char *rh_gate_problem(const rh_gate_t *gate)
{
    return !__atomic_load_n(&gate->open, __ATOMIC_ACQUIRE) &&
                   __atomic_load_n(&gate->refused, __ATOMIC_ACQUIRE)
               ? gate->problem
               : NULL;
}

/** Create or upgrade the tables from a child: one thread at a time, the others try again later. */
static apr_status_t open_late(gate_source_t *source, apr_pool_t *pool)
{
    rh_gate_t *gate = source->gate;
    apr_pool_t *scratch;
    apr_status_t status;
    const char *problem;
    bool told;

    if (__atomic_exchange_n(&gate->busy, 1, __ATOMIC_ACQUIRE)) {
        return APR_EAGAIN;
    }
    told = rh_gate_problem(gate) != NULL;
    status = apr_pool_create(&scratch, pool);
    if (status == APR_SUCCESS) {
        status = rh_gate_open(gate, source->inner, scratch, &problem);
        if (status == APR_SUCCESS) {
            rh_log(gate->log, RH_LOG_NOTICE, APR_SUCCESS, "RH0720",
                   "the tables of %s are ready: this process uses them from now on", gate->name);
        } else if (!APR_STATUS_IS_EAGAIN(status) && !told) {
            rh_log(gate->log, RH_LOG_ERR, APR_SUCCESS, "RH0721",
                   "the tables of %s can't be used, this process tries again: %s", gate->name,
                   problem);
        }
        apr_pool_destroy(scratch);
    }
    __atomic_store_n(&gate->busy, 0, __ATOMIC_RELEASE);
    return status == APR_SUCCESS ? APR_SUCCESS : APR_EAGAIN;
}

static apr_status_t acquire(rh_db_source_t *self, apr_pool_t *pool, rh_db_t **db)
{
    gate_source_t *source = (gate_source_t *)self;

    if (!__atomic_load_n(&source->gate->open, __ATOMIC_ACQUIRE)) {
        apr_status_t status = open_late(source, pool);

        if (status != APR_SUCCESS) {
            return status;
        }
    }
    return source->inner->acquire(source->inner, pool, db);
}

static void release_gated(rh_db_source_t *self, rh_db_t *db, bool broken)
{
    gate_source_t *source = (gate_source_t *)self;

    source->inner->release(source->inner, db, broken);
}

rh_db_source_t *rh_gate_source(apr_pool_t *pool, rh_gate_t *gate, rh_db_source_t *inner)
{
    gate_source_t *source = apr_pcalloc(pool, sizeof(*source));

    source->base.acquire = acquire;
    source->base.release = release_gated;
    source->base.dialect = inner->dialect;
    source->base.log = inner->log;
    source->inner = inner;
    source->gate = gate;
    return &source->base;
}
