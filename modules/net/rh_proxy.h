/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/**
 * @file rh_proxy.h
 * @brief The egress proxy of a virtual host, and where a target that is reached through it is.
 *
 * A proxy that is given a name resolves it for itself: a name server that first shows a public
 * address here and then a private one there would lead the proxy where the policy forbids. So the
 * name is resolved and judged here, and the proxy is given the address. Only `resolve=proxy` hands
 * over both.
 */
#ifndef RH_PROXY_H
#define RH_PROXY_H

#include "rh_client.h"
#include "rh_resolver.h"
#include "rh_url.h"

typedef struct rh_proxy_t {
    rh_url_t url;
    const rh_egress_policy_t *except; /**< its allow rules name targets of direct connections */
    const char *login;                /**< value of Proxy-Authorization; NULL: none */
    bool resolves;                    /**< it is given names */
} rh_proxy_t;

/** The addresses of a target that the proxy may be given, best first. */
typedef struct rh_proxy_targets_t {
    rh_address_t address[RH_MAX_ADDRESSES];
    int count;
    bool direct; /**< one of them is excepted from the proxy */
} rh_proxy_targets_t;

/**
 * Read the settings of `net` that begin with egress_ and set net->proxy, in `pool`; NULL where no
 * proxy is set.
 * @param error receives why a setting can't be used
 */
apr_status_t rh_proxy_init(rh_net_config_t *net, apr_pool_t *pool, const char **error);

/**
 * Choose the addresses that the policy allows. IPv4 comes first: a proxy without IPv6 is common,
 * and whether this one has it is not known here.
 */
void rh_proxy_choose(const rh_proxy_t *proxy, const rh_egress_policy_t *policy, const char *host,
                     const rh_addresses_t *found, rh_proxy_targets_t *targets);

#endif
