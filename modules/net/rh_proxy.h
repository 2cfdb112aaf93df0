/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/**
 * @file rh_proxy.h
 * @brief The egress proxy of a virtual host, and which address of a target it is given.
 *
 * A proxy that is given a name resolves it itself. A name server could show a public address to us
 * and a private one to the proxy, which would then connect where the policy forbids it. The name is
 * therefore resolved and judged here, and the proxy gets the address. Only `resolve=proxy` leaves
 * both to the proxy.
 */
#ifndef RH_PROXY_H
#define RH_PROXY_H

#include "rh_client.h"
#include "rh_resolver.h"
#include "rh_url.h"

typedef struct rh_proxy_t {
    rh_url_t url;
    const rh_egress_policy_t *except; /**< its allow rules name the targets of direct connections */
    const char *login;                /**< value of Proxy-Authorization; NULL: none */
    bool resolves;                    /**< it is given names instead of addresses */
} rh_proxy_t;

/** The addresses of a target that the proxy may be given, best first. */
typedef struct rh_proxy_targets_t {
    rh_address_t address[RH_MAX_ADDRESSES];
    int count;
    bool direct; /**< one of them is reached without the proxy */
} rh_proxy_targets_t;

/**
 * Read the settings of `net` that begin with egress_, and set net->proxy, in `pool`; NULL if no
 * proxy is set.
 * @param error receives why a setting is invalid
 */
apr_status_t rh_proxy_init(rh_net_config_t *net, apr_pool_t *pool, const char **error);

/**
 * Choose the addresses that the policy allows. IPv4 comes first, because proxies without IPv6 are
 * common, and this side cannot tell.
 */
void rh_proxy_choose(const rh_proxy_t *proxy, const rh_egress_policy_t *policy, const char *host,
                     const rh_addresses_t *found, rh_proxy_targets_t *targets);

#endif
