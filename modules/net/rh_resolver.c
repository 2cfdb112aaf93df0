/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/* Names, their cached addresses, and the queries that wait for them. */
#include "rh_resolver_private.h"

/** Maximum number of names that are remembered, and that are being looked up. */
#define MAX_CACHED 1024
#define MAX_PENDING 4096
/** Minimum and maximum time for which a result is used. */
#define MIN_TTL apr_time_from_sec(1)
#define MAX_TTL apr_time_from_sec(300)
#define NOT_FOUND_TTL apr_time_from_sec(5)
#define FAILURE_TTL apr_time_from_sec(2)
/** How long to wait for both families before IPv4 alone is enough (RFC 8305 §3). */
#define BOTH_FAMILIES_WAIT apr_time_from_sec(1)
/* ---- addresses ---- */

static bool is_localhost(const char *host)
{
    static const char name[] = "localhost";
    apr_size_t len = strlen(host), name_len = sizeof(name) - 1;

    return len >= name_len && strcasecmp(host + len - name_len, name) == 0 &&
           (len == name_len || host[len - name_len - 1] == '.');
}

static void fill_loopback(rh_addresses_t *addresses)
{
    memset(addresses, 0, sizeof(*addresses));
    addresses->count = 2;
    (void)rh_address_read("::1", &addresses->address[0]);
    (void)rh_address_read("127.0.0.1", &addresses->address[1]);
}

/**
 * Copy the addresses, alternating between the families.
 * @return the smallest TTL of them and of their aliases, in seconds
 */
static int copy_addresses(const struct ares_addrinfo *found, rh_addresses_t *addresses)
{
    const struct ares_addrinfo_node *next[2];
    int ttl = (int)apr_time_sec(MAX_TTL), turn = 0;

    memset(addresses, 0, sizeof(*addresses));
    next[0] = next[1] = found->nodes;
    while ((next[0] || next[1]) && addresses->count < RH_MAX_ADDRESSES) {
        int family = turn == 0 ? AF_INET6 : AF_INET;
        const struct ares_addrinfo_node **node = &next[turn];

        while (*node && (*node)->ai_family != family) {
            *node = (*node)->ai_next;
        }
        if (*node) {
            (void)rh_address_of_os((*node)->ai_addr, &addresses->address[addresses->count++]);
            ttl = (*node)->ai_ttl < ttl ? (*node)->ai_ttl : ttl;
            *node = (*node)->ai_next;
        }
        turn = !turn;
    }
    for (const struct ares_addrinfo_cname *name = found->cnames; name; name = name->next) {
        ttl = name->ttl < ttl ? name->ttl : ttl;
    }
    return ttl;
}

/* ---- names ---- */

static void drop_entry(rh_resolver_t *resolver, entry_t *entry)
{
    apr_hash_set(resolver->names, entry->host, APR_HASH_KEY_STRING, NULL);
    APR_RING_REMOVE(entry, link);
    APR_RING_INSERT_HEAD(&resolver->spare, entry, entry_t, link);
    resolver->known_count--;
}

/** Make room for one more entry by dropping the oldest one without an open query. */
static bool make_room(rh_resolver_t *resolver)
{
    entry_t *entry;

    if (resolver->known_count < MAX_CACHED) {
        return true;
    }
    for (entry = APR_RING_FIRST(&resolver->known);
         entry != APR_RING_SENTINEL(&resolver->known, entry_t, link);
         entry = APR_RING_NEXT(entry, link)) {
        if (!entry->outstanding) {
            drop_entry(resolver, entry);
            return true;
        }
    }
    return resolver->known_count < MAX_PENDING;
}

static entry_t *add_entry(rh_resolver_t *resolver, const char *host)
{
    entry_t *entry;

    if (!make_room(resolver)) {
        return NULL;
    }
    if (APR_RING_EMPTY(&resolver->spare, entry_t, link)) {
        entry = apr_pcalloc(resolver->pool, sizeof(*entry));
        entry->resolver = resolver;
        APR_RING_INIT(&entry->queries, rh_query_t, link);
    } else {
        entry = APR_RING_FIRST(&resolver->spare);
        APR_RING_REMOVE(entry, link);
    }
    apr_cpystrn(entry->host, host, sizeof(entry->host));
    APR_RING_INSERT_TAIL(&resolver->known, entry, entry_t, link);
    apr_hash_set(resolver->names, entry->host, APR_HASH_KEY_STRING, entry);
    resolver->known_count++;
    return entry;
}

static void refuse_query(rh_query_t *query, const char *error)
{
    rh_addresses_t none;

    memset(&none, 0, sizeof(none));
    none.error = error;
    query->answered(query->baton, &none);
}

static const char *reason_of(int status)
{
    switch (status) {
    case ARES_ENOTFOUND:
        return "the name does not exist";
    case ARES_ENODATA:
        return "the name has no address";
    case ARES_ETIMEOUT:
        return "no name server answers";
    case ARES_EBADNAME:
        return "this is not a valid name";
    default:
        return "the name servers failed";
    }
}

/** Store the addresses, or the reason why there are none. */
static void store_answer(entry_t *entry, int status, const struct ares_addrinfo *found)
{
    apr_interval_time_t ttl;

    memset(&entry->addresses, 0, sizeof(entry->addresses));
    if (status == ARES_SUCCESS) {
        ttl = apr_time_from_sec(copy_addresses(found, &entry->addresses));
        ttl = ttl < MIN_TTL ? MIN_TTL : ttl;
        if (entry->addresses.count == 0) {
            status = ARES_ENODATA;
        }
    }
    if (status != ARES_SUCCESS) {
        entry->addresses.error = reason_of(status);
        ttl = status == ARES_ENOTFOUND || status == ARES_ENODATA ? NOT_FOUND_TTL : FAILURE_TTL;
        entry->resolver->stale = entry->resolver->stale || ttl == FAILURE_TTL;
    }
    entry->expires = rh_monotonic_now() + ttl;
}

static void answer_queries(entry_t *entry)
{
    rh_timers_disarm(rh_reactor_timers(entry->resolver->reactor), &entry->both);
    /* Pending until all are answered: queries made by their callbacks must not reuse this entry. */
    while (!APR_RING_EMPTY(&entry->queries, rh_query_t, link)) {
        rh_query_t *query = APR_RING_FIRST(&entry->queries);

        APR_RING_REMOVE(query, link);
        query->asked = false;
        query->answered(query->baton, &entry->addresses);
    }
    entry->pending = false;
}

/** Use a result for the queries that wait, or, if it is useful, for later ones. */
static void use_answer(entry_t *entry, int status, const struct ares_addrinfo *found, bool useful)
{
    if (entry->pending || useful) {
        store_answer(entry, status, found);
    }
    if (entry->pending) {
        answer_queries(entry);
    }
}

/** Called by c-ares when both families have been answered, or have timed out. */
static void both_answered(void *baton, int status, int timeouts, struct ares_addrinfo *found)
{
    entry_t *entry = baton;
    rh_resolver_t *resolver = entry->resolver;

    (void)timeouts;
    if (!resolver->closing) {
        use_answer(entry, status, found, status == ARES_SUCCESS);
        entry->outstanding--;
        resolver->outstanding--;
    }
    ares_freeaddrinfo(found);
}

/** Called by c-ares for IPv4 alone. Without an address, keep waiting for IPv6. */
static void ipv4_answered(void *baton, int status, int timeouts, struct ares_addrinfo *found)
{
    entry_t *entry = baton;
    rh_resolver_t *resolver = entry->resolver;

    (void)timeouts;
    if (!resolver->closing) {
        if (status == ARES_SUCCESS && found->nodes) {
            use_answer(entry, status, found, entry->addresses.count == 0);
        }
        entry->outstanding--;
        resolver->outstanding--;
    }
    ares_freeaddrinfo(found);
}

static void ask_servers(entry_t *entry, int family, ares_addrinfo_callback answered)
{
    rh_resolver_t *resolver = entry->resolver;
    struct ares_addrinfo_hints hints;

    memset(&hints, 0, sizeof(hints));
    hints.ai_family = family;
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = ARES_AI_NOSORT;
    entry->outstanding++;
    resolver->outstanding++;
    resolver->busy++;
    ares_getaddrinfo(resolver->channel, entry->host, NULL, &hints, answered, entry);
    resolver->busy--;
    rh_resolver_rearm(resolver);
}

/** Some name servers ignore queries for IPv6: ask for IPv4 alone. */
static void both_too_long(void *baton)
{
    ask_servers(baton, AF_INET, ipv4_answered);
}

static void look_up(rh_resolver_t *resolver, entry_t *entry)
{
    rh_resolver_refresh(resolver);
    entry->pending = true;
    entry->both.fire = both_too_long;
    entry->both.baton = entry;
    rh_timers_arm(rh_reactor_timers(resolver->reactor), &entry->both,
                  rh_monotonic_now() + BOTH_FAMILIES_WAIT);
    ask_servers(entry, AF_UNSPEC, both_answered);
}

void rh_resolver_ask(rh_resolver_t *resolver, const char *host, rh_query_t *query)
{
    rh_addresses_t given;
    entry_t *entry;

    query->asked = false;
    memset(&given, 0, sizeof(given));
    if (rh_address_read(host, &given.address[0])) {
        given.count = 1;
        query->answered(query->baton, &given);
        return;
    }
    if (is_localhost(host)) {
        fill_loopback(&given);
        query->answered(query->baton, &given);
        return;
    }
    if (strlen(host) >= sizeof(entry->host)) {
        refuse_query(query, "the name is too long");
        return;
    }
    entry = apr_hash_get(resolver->names, host, APR_HASH_KEY_STRING);
    if (entry && !entry->pending && entry->expires > rh_monotonic_now()) {
        APR_RING_REMOVE(entry, link);
        APR_RING_INSERT_TAIL(&resolver->known, entry, entry_t, link);
        given = entry->addresses;
        query->answered(query->baton, &given);
        return;
    }
    if (!entry && (entry = add_entry(resolver, host)) == NULL) {
        refuse_query(query, "too many names are being looked up");
        return;
    }
    query->asked = true;
    APR_RING_INSERT_TAIL(&entry->queries, query, rh_query_t, link);
    if (!entry->pending) {
        look_up(resolver, entry);
    }
}

void rh_resolver_forget(rh_query_t *query)
{
    if (query->asked) {
        query->asked = false;
        APR_RING_REMOVE(query, link);
    }
}

const char *rh_resolver_error(apr_pool_t *pool, const char *host, const rh_addresses_t *addresses)
{
    const char *hint =
        strchr(host, '.') ? "" : " (names must be complete: host.example.com, not host)";

    return apr_psprintf(pool, "DNS: %s: %s%s", host, addresses->error, hint);
}

/* ---- life ---- */

static apr_status_t resolver_cleanup(void *data)
{
    rh_resolver_t *resolver = data;

    resolver->closing = true;
    rh_timers_disarm(rh_reactor_timers(resolver->reactor), &resolver->timer);
    ares_destroy(resolver->channel);
    return APR_SUCCESS;
}

apr_status_t rh_resolver_make(apr_pool_t *pool, rh_reactor_t *reactor, rh_resolver_t **resolver)
{
    rh_resolver_t *made = apr_pcalloc(pool, sizeof(*made));
    int status;

    made->pool = pool;
    made->reactor = reactor;
    made->names = apr_hash_make(pool);
    APR_RING_INIT(&made->known, entry_t, link);
    APR_RING_INIT(&made->spare, entry_t, link);
    status = rh_resolver_open(made);
    if (status != ARES_SUCCESS) {
        return status == ARES_ENOMEM ? APR_ENOMEM : APR_EGENERAL;
    }
    /* Before the reactor's cleanup, which closes the watches. */
    apr_pool_pre_cleanup_register(pool, made, resolver_cleanup);
    *resolver = made;
    return APR_SUCCESS;
}

apr_status_t rh_resolver_set_servers(rh_resolver_t *resolver, const char *servers)
{
    resolver->servers = servers;
    return ares_set_servers_ports_csv(resolver->channel, servers) == ARES_SUCCESS ? APR_SUCCESS
                                                                                  : APR_EINVAL;
}

static apr_status_t library_cleanup(void *data)
{
    (void)data;
    ares_library_cleanup();
    return APR_SUCCESS;
}

apr_status_t rh_resolver_global_init(apr_pool_t *pool)
{
    /* c-ares counts its initialisations, so each needs a cleanup. */
    if (ares_library_init(ARES_LIB_INIT_ALL) != ARES_SUCCESS) {
        return APR_EGENERAL;
    }
    apr_pool_cleanup_register(pool, NULL, library_cleanup, apr_pool_cleanup_null);
    return APR_SUCCESS;
}
