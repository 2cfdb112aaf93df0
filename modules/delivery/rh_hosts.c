/* Licensed under the Apache License, Version 2.0: see LICENSE. */
#include "rh_hosts.h"

#include <apr_hash.h>
#include <apr_thread_mutex.h>
#include <stdlib.h>

/** One host and port. Guarded by the table's mutex, but counts are also read without it. */
typedef struct place_t {
    rh_hosts_t *hosts;
    rh_usage_t usage;
    int tenants;          /**< number of tenants' records that refer to it */
    apr_uint32_t gives;   /**< number of slots given back so far */
    apr_uint64_t waiting; /**< loops to wake, one bit each */
    char name[];
} place_t;

struct rh_host_t {
    place_t *place;
    rh_usage_t usage; /**< the slots that the tenant holds */
    int references;   /**< number of endpoints and jobs that refer to it */
    apr_size_t key_len;
    char key[]; /**< name of the host and port, NUL, tenant, NUL */
};

struct rh_hosts_t {
    apr_thread_mutex_t *mutex;
    apr_hash_t *places;  /**< name -> place_t * */
    apr_hash_t *tenants; /**< key -> rh_host_t * */
    void (*wake)(void *baton, int loop);
    void *baton;
};

apr_status_t rh_hosts_make(apr_pool_t *pool, void (*wake)(void *baton, int loop), void *baton,
                           rh_hosts_t **result)
{
    rh_hosts_t *hosts = apr_pcalloc(pool, sizeof(*hosts));

    hosts->places = apr_hash_make(pool);
    hosts->tenants = apr_hash_make(pool);
    hosts->wake = wake;
    hosts->baton = baton;
    *result = hosts;
    return apr_thread_mutex_create(&hosts->mutex, APR_THREAD_MUTEX_DEFAULT, pool);
}

/** Find or make the record of a host and port. Called with the mutex held. */
static place_t *find_place(rh_hosts_t *hosts, const char *name)
{
    place_t *place = apr_hash_get(hosts->places, name, APR_HASH_KEY_STRING);
    apr_size_t len = strlen(name);

    if (!place && (place = calloc(1, sizeof(*place) + len + 1)) != NULL) {
        place->hosts = hosts;
        memcpy(place->name, name, len + 1);
        apr_hash_set(hosts->places, place->name, APR_HASH_KEY_STRING, place);
    }
    return place;
}

static void drop_place(place_t *place)
{
    if (place->tenants == 0) {
        apr_hash_set(place->hosts->places, place->name, APR_HASH_KEY_STRING, NULL);
        free(place);
    }
}

/** Make the record of a tenant at a host. Called with the mutex held. */
static rh_host_t *make_host(rh_hosts_t *hosts, const char *name, const char *tenant)
{
    apr_size_t name_len = strlen(name) + 1, tenant_len = strlen(tenant) + 1;
    rh_host_t *host = calloc(1, sizeof(*host) + name_len + tenant_len);
    place_t *place = host ? find_place(hosts, name) : NULL;

    if (!place) {
        free(host);
        return NULL;
    }
    host->place = place;
    host->key_len = name_len + tenant_len;
    memcpy(host->key, name, name_len);
    memcpy(host->key + name_len, tenant, tenant_len);
    place->tenants++;
    apr_hash_set(hosts->tenants, host->key, (apr_ssize_t)host->key_len, host);
    return host;
}

rh_host_t *rh_host_hold(rh_hosts_t *hosts, const char *name, const char *tenant)
{
    apr_size_t name_len = strlen(name) + 1, tenant_len = strlen(tenant) + 1;
    char *key = malloc(name_len + tenant_len);
    rh_host_t *host;

    if (!key) {
        return NULL;
    }
    memcpy(key, name, name_len);
    memcpy(key + name_len, tenant, tenant_len);
    apr_thread_mutex_lock(hosts->mutex);
    host = apr_hash_get(hosts->tenants, key, (apr_ssize_t)(name_len + tenant_len));
    if (!host) {
        host = make_host(hosts, name, tenant);
    }
    if (host) {
        host->references++;
    }
    apr_thread_mutex_unlock(hosts->mutex);
    free(key);
    return host;
}

rh_host_t *rh_host_share(rh_host_t *host)
{
    apr_thread_mutex_t *mutex = host->place->hosts->mutex;

    apr_thread_mutex_lock(mutex);
    host->references++;
    apr_thread_mutex_unlock(mutex);
    return host;
}

void rh_host_release(rh_host_t *host)
{
    place_t *place = host->place;
    rh_hosts_t *hosts = place->hosts;

    apr_thread_mutex_lock(hosts->mutex);
    if (--host->references == 0) {
        apr_hash_set(hosts->tenants, host->key, (apr_ssize_t)host->key_len, NULL);
        free(host);
        place->tenants--;
        drop_place(place);
    }
    apr_thread_mutex_unlock(hosts->mutex);
}

const void *rh_host_identity(const rh_host_t *host)
{
    return host->place;
}

/** Change a count that is also read without the mutex. Called with the mutex held. */
static void change_usage(rh_usage_t *usage, rh_endpoint_class_t class, int by)
{
    __atomic_store_n(&usage->of[class], usage->of[class] + by, __ATOMIC_RELAXED);
}

int rh_host_take(rh_host_t *host, int limit, rh_endpoint_class_t class)
{
    place_t *place = host->place;
    int missing;

    apr_thread_mutex_lock(place->hosts->mutex);
    missing = rh_share_missing(&place->usage, &host->usage, limit, class);
    if (missing == RH_SHARE_FREE) {
        change_usage(&place->usage, class, 1);
        change_usage(&host->usage, class, 1);
    }
    apr_thread_mutex_unlock(place->hosts->mutex);
    return missing;
}

void rh_host_give(rh_host_t *host, rh_endpoint_class_t class, int loop)
{
    place_t *place = host->place;
    rh_hosts_t *hosts = place->hosts;
    apr_uint64_t waiting;
    int i;

    apr_thread_mutex_lock(hosts->mutex);
    change_usage(&place->usage, class, -1);
    change_usage(&host->usage, class, -1);
    __atomic_store_n(&place->gives, place->gives + 1, __ATOMIC_RELEASE);
    waiting = place->waiting;
    place->waiting = 0;
    apr_thread_mutex_unlock(hosts->mutex);
    waiting &= ~(APR_UINT64_C(1) << loop);
    for (i = 0; waiting != 0; i++, waiting >>= 1) {
        if (waiting & 1) {
            hosts->wake(hosts->baton, i);
        }
    }
}

static rh_usage_t peek_usage(const rh_usage_t *usage)
{
    rh_usage_t copy;
    int i;

    for (i = 0; i < RH_ENDPOINT_CLASSES; i++) {
        copy.of[i] = __atomic_load_n(&usage->of[i], __ATOMIC_RELAXED);
    }
    return copy;
}

int rh_host_peek(const rh_host_t *host, int limit, rh_endpoint_class_t class)
{
    rh_usage_t all = peek_usage(&host->place->usage), own = peek_usage(&host->usage);

    return rh_share_missing(&all, &own, limit, class);
}

apr_uint32_t rh_host_gives(const rh_host_t *host)
{
    return __atomic_load_n(&host->place->gives, __ATOMIC_ACQUIRE);
}

bool rh_host_wait(rh_host_t *host, apr_uint32_t gives, int loop)
{
    place_t *place = host->place;
    bool waits;

    apr_thread_mutex_lock(place->hosts->mutex);
    waits = place->gives == gives;
    if (waits) {
        place->waiting |= APR_UINT64_C(1) << loop;
    }
    apr_thread_mutex_unlock(place->hosts->mutex);
    return waits;
}
