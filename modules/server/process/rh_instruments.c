/* Licensed under the Apache License, Version 2.0: see LICENSE. */
#include "rh_instruments.h"

#include "rh_server.h"

#include <ap_mpm.h>
#include <apr_shm.h>
#include <http_log.h>
#include <unistd.h>

APLOG_USE_MODULE(resthooks);

/** Key under which the parent's process pool keeps the memory over restarts. */
#define KEPT_KEY "resthooks_instruments"
/** Assumed number of children of one generation if the MPM does not say, and its maximum. */
#define USUAL_CHILDREN 64
#define MAX_CHILDREN 1024
/** Size of a cache line: counters of different hosts and processes do not share one. */
#define CACHE_LINE_BYTES 64

/** Memory that is kept over restarts. */
typedef struct kept_t {
    apr_pool_t *pool;  /**< holds this record and the memory */
    const char *shape; /**< text that describes its layout */
    char *memory;
} kept_t;

/** Head of the memory. Hosts, events and slots follow, each on cache lines of their own. */
typedef struct head_t {
    apr_time_t since;
} head_t;

/** Slot of one process, followed by RH_GAUGE_COUNT gauges for each host. */
typedef struct slot_t {
    apr_int64_t pid; /**< atomic; 0: free */
    apr_int64_t gauges[];
} slot_t;

static rh_instruments_t *instruments;
static char *slots;
static apr_size_t slot_size;
static int slot_count;

static apr_size_t in_lines(apr_size_t size)
{
    return (size + CACHE_LINE_BYTES - 1) / CACHE_LINE_BYTES * CACHE_LINE_BYTES;
}

static slot_t *slot_at(int number)
{
    return (slot_t *)(void *)(slots + slot_size * (apr_size_t)number);
}

/** Find every enabled host, each with a unique name. */
static apr_array_header_t *find_hosts(apr_pool_t *pool, server_rec *server)
{
    apr_array_header_t *hosts = apr_array_make(pool, 4, sizeof(rh_instruments_host_t));
    server_rec *each;

    for (each = server; each; each = each->next) {
        rh_server_config_t *config = rh_server_config(each);
        rh_instruments_host_t *host;
        int i, same = 0;

        if (!config->settings.enabled || config->metrics) {
            continue; /* RestHooks is Off, or servers share this record, which was handled already.
                       */
        }
        host = apr_array_push(hosts);
        memset(host, 0, sizeof(*host));
        host->config = config;
        host->name = rh_server_name(pool, each);
        for (i = 0; i < hosts->nelts - 1; i++) {
            const char *name = APR_ARRAY_IDX(hosts, i, rh_instruments_host_t).name;

            same += !strncmp(name, host->name, strlen(host->name)) &&
                    strchr("#", name[strlen(host->name)]) != NULL;
        }
        if (same > 0) {
            host->name = apr_psprintf(pool, "%s#%d", host->name, same + 1);
        }
        config->metrics = &host->metrics; /* set again below, because the array may move */
    }
    return hosts;
}

/** Describe what the layout of the memory depends on. */
static const char *shape_of(apr_pool_t *pool, const apr_array_header_t *hosts, int children)
{
    apr_array_header_t *parts = apr_array_make(pool, 16, sizeof(const char *));
    int i, j;

    APR_ARRAY_PUSH(parts, const char *) =
        apr_psprintf(pool, "%s %d %d %d %d", RH_VERSION, (int)sizeof(rh_metrics_host_t),
                     RH_GAUGE_COUNT, RH_SOURCE_COUNT * RH_MISS_COUNT, children);
    for (i = 0; i < hosts->nelts; i++) {
        const rh_instruments_host_t *host = &APR_ARRAY_IDX(hosts, i, rh_instruments_host_t);

        APR_ARRAY_PUSH(parts, const char *) = host->name;
        for (j = 0; j < host->config->settings.types->nelts; j++) {
            APR_ARRAY_PUSH(parts, const char *) =
                APR_ARRAY_IDX(host->config->settings.types, j, const rh_catalogue_type_t *)->type;
        }
        for (j = 0; j < host->config->settings.rules->nelts; j++) {
            APR_ARRAY_PUSH(parts, const char *) = "rule";
            APR_ARRAY_PUSH(parts, const char *) =
                APR_ARRAY_IDX(host->config->settings.rules, j, const rh_rule_t *)->type;
        }
    }
    return apr_array_pstrcat(pool, parts, ' ');
}

static apr_size_t events_size(const rh_instruments_host_t *host)
{
    return in_lines((apr_size_t)(host->config->settings.types->nelts + 1) * RH_SOURCE_COUNT *
                    sizeof(apr_uint64_t));
}

static apr_size_t missed_size(const rh_instruments_host_t *host)
{
    return in_lines((apr_size_t)host->config->settings.rules->nelts * RH_MISS_COUNT *
                    sizeof(apr_uint64_t));
}

static apr_size_t size_of(const apr_array_header_t *hosts, apr_size_t *before_slots)
{
    apr_size_t size = in_lines(sizeof(head_t));
    int i;

    for (i = 0; i < hosts->nelts; i++) {
        size += in_lines(sizeof(rh_metrics_host_t)) +
                events_size(&APR_ARRAY_IDX(hosts, i, rh_instruments_host_t)) +
                missed_size(&APR_ARRAY_IDX(hosts, i, rh_instruments_host_t));
    }
    *before_slots = size;
    return size + slot_size * (apr_size_t)slot_count;
}

/** Reuse the earlier memory if it fits, or make new memory. */
static apr_status_t find_memory(server_rec *server, const char *shape, apr_size_t size,
                                char **memory)
{
    apr_pool_t *process = server->process->pool, *pool;
    apr_shm_t *shm;
    apr_status_t status;
    kept_t *kept;
    void *found = NULL;

    apr_pool_userdata_get(&found, KEPT_KEY, process);
    kept = found;
    if (kept && strcmp(kept->shape, shape) == 0) {
        *memory = kept->memory;
        return APR_SUCCESS;
    }
    if (kept) {
        apr_pool_userdata_set(NULL, KEPT_KEY, NULL, process);
        apr_pool_destroy(kept->pool);
    }
    apr_pool_create(&pool, process);
    status = apr_shm_create(&shm, size + CACHE_LINE_BYTES, NULL, pool);
    if (status != APR_SUCCESS) {
        apr_pool_destroy(pool);
        return status;
    }
    kept = apr_pcalloc(pool, sizeof(*kept));
    kept->pool = pool;
    kept->shape = apr_pstrdup(pool, shape);
    kept->memory = (char *)in_lines((apr_size_t)apr_shm_baseaddr_get(shm));
    memset(kept->memory, 0, size);
    ((head_t *)(void *)kept->memory)->since = apr_time_now();
    /* Not _setn: the key is in the module's memory, which a restart unloads. */
    apr_pool_userdata_set(kept, KEPT_KEY, NULL, process);
    *memory = kept->memory;
    return APR_SUCCESS;
}

/** Set every server's metrics. */
static void hand_out(server_rec *server, char *memory)
{
    rh_instruments_host_t *hosts = (rh_instruments_host_t *)(void *)instruments->hosts->elts;
    server_rec *each;
    int i;

    memory += in_lines(sizeof(head_t));
    for (i = 0; i < instruments->hosts->nelts; i++) {
        hosts[i].metrics.host = (rh_metrics_host_t *)(void *)memory;
        memory += in_lines(sizeof(rh_metrics_host_t));
        hosts[i].metrics.events = (apr_uint64_t *)(void *)memory;
        memory += events_size(&hosts[i]);
        hosts[i].metrics.types = hosts[i].config->settings.types->nelts;
        hosts[i].metrics.sources = RH_SOURCE_COUNT;
        hosts[i].metrics.missed = (apr_uint64_t *)(void *)memory;
        memory += missed_size(&hosts[i]);
        hosts[i].metrics.rules = hosts[i].config->settings.rules->nelts;
        hosts[i].metrics.reasons = RH_MISS_COUNT;
        for (each = server; each; each = each->next) {
            rh_server_config_t *config = rh_server_config(each);

            if (config == hosts[i].config) {
                config->metrics = &hosts[i].metrics;
            }
        }
    }
}

static void detach_metrics(server_rec *server)
{
    for (; server; server = server->next) {
        rh_server_config(server)->metrics = NULL;
    }
}

bool rh_instruments_make(apr_pool_t *pconf, server_rec *server)
{
    apr_size_t size, before_slots;
    apr_status_t status;
    char *memory;
    int children = 0;

    if (ap_mpm_query(AP_MPMQ_HARD_LIMIT_DAEMONS, &children) != APR_SUCCESS || children <= 0) {
        children = USUAL_CHILDREN;
    }
    if (children > MAX_CHILDREN) {
        children = MAX_CHILDREN;
    }
    instruments = apr_pcalloc(pconf, sizeof(*instruments));
    instruments->hosts = find_hosts(pconf, server);
    /* Two generations can exist at the same time. */
    slot_count = 2 * children;
    slot_size = in_lines(sizeof(slot_t) + (apr_size_t)instruments->hosts->nelts * RH_GAUGE_COUNT *
                                              sizeof(apr_int64_t));
    size = size_of(instruments->hosts, &before_slots);
    status = find_memory(server, shape_of(pconf, instruments->hosts, children), size, &memory);
    if (status != APR_SUCCESS) {
        rh_log(&rh_server_config(server)->log, RH_LOG_ERR, status, "RH0801",
               "no shared memory of %" APR_SIZE_T_FMT " bytes: nothing is counted", size);
        instruments = NULL;
        detach_metrics(server);
        return false;
    }
    instruments->since = ((head_t *)(void *)memory)->since;
    slots = memory + before_slots;
    hand_out(server, memory);
    return true;
}

void rh_instruments_enter(void)
{
    rh_instruments_host_t *hosts;
    apr_int64_t pid = getpid();
    int i, j;

    if (!instruments) {
        return;
    }
    hosts = (rh_instruments_host_t *)(void *)instruments->hosts->elts;
    for (i = 0; i < slot_count; i++) {
        slot_t *slot = slot_at(i);
        apr_int64_t unused = 0;

        if (__atomic_compare_exchange_n(&slot->pid, &unused, pid, false, __ATOMIC_SEQ_CST,
                                        __ATOMIC_SEQ_CST)) {
            for (j = 0; j < instruments->hosts->nelts; j++) {
                hosts[j].metrics.gauges = slot->gauges + j * RH_GAUGE_COUNT;
            }
            return;
        }
    }
}

/** Clear the gauges of a child that has ended. Runs in the parent. */
static void child_status(server_rec *server, pid_t pid, ap_generation_t generation, int number,
                         mpm_child_status state)
{
    int i;

    (void)server;
    (void)generation;
    (void)number;
    if (!instruments || state != MPM_CHILD_EXITED || pid <= 0) {
        return;
    }
    for (i = 0; i < slot_count; i++) {
        slot_t *slot = slot_at(i);

        if (__atomic_load_n(&slot->pid, __ATOMIC_SEQ_CST) == pid) {
            memset(slot->gauges, 0, slot_size - sizeof(*slot));
            __atomic_store_n(&slot->pid, 0, __ATOMIC_SEQ_CST);
        }
    }
}

const rh_instruments_t *rh_instruments_read(void)
{
    return instruments;
}

int rh_instruments_processes(void)
{
    int i, count = 0;

    for (i = 0; instruments && i < slot_count; i++) {
        count += __atomic_load_n(&slot_at(i)->pid, __ATOMIC_SEQ_CST) != 0;
    }
    return count;
}

apr_int64_t rh_instruments_gauge(const rh_instruments_host_t *host, rh_gauge_t gauge)
{
    const rh_instruments_host_t *first =
        (const rh_instruments_host_t *)(const void *)instruments->hosts->elts;
    apr_int64_t sum = 0;
    int place = (int)(host - first) * RH_GAUGE_COUNT + gauge, i;

    for (i = 0; i < slot_count; i++) {
        const slot_t *slot = slot_at(i);

        if (__atomic_load_n(&slot->pid, __ATOMIC_SEQ_CST) != 0) {
            sum += __atomic_load_n(&slot->gauges[place], __ATOMIC_RELAXED);
        }
    }
    return sum > 0 ? sum : 0;
}

void rh_instruments_event(const rh_server_config_t *config, const char *type, int source)
{
    if (config->metrics) {
        rh_metrics_event(config->metrics, rh_catalogue_find(config, type), source);
    }
}

void rh_instruments_register(apr_pool_t *pool)
{
    (void)pool;
    instruments = NULL; /*
                         * If the module is linked in statically, this is the array from before a
                         * restart.
                         */
    ap_hook_child_status(child_status, NULL, NULL, APR_HOOK_MIDDLE);
}
