/* Licensed under the Apache License, Version 2.0: see LICENSE. */
#include "rh_proxy.h"

#include <apr_base64.h>

static const char *basic_login(apr_pool_t *pool, const char *credentials)
{
    int len = (int)strlen(credentials);
    char *encoded = apr_palloc(pool, (apr_size_t)apr_base64_encode_len(len));

    (void)apr_base64_encode(encoded, credentials, len);
    return apr_pstrcat(pool, "Basic ", encoded, NULL);
}

static apr_status_t read_exceptions(const apr_array_header_t *rules, apr_pool_t *pool,
                                    const rh_egress_policy_t **except, const char **error)
{
    rh_egress_policy_t *policy = rh_egress_make(pool);

    for (int i = 0; rules && i < rules->nelts; i++) {
        const char *rule = APR_ARRAY_IDX(rules, i, const char *);
        const char *reason = rh_egress_add(policy, true, rule);

        if (reason) {
            *error = apr_psprintf(pool, "the egress proxy's exception %s %s", rule, reason);
            return APR_EINVAL;
        }
    }
    *except = policy;
    return APR_SUCCESS;
}

apr_status_t rh_proxy_init(rh_net_config_t *net, apr_pool_t *pool, const char **error)
{
    rh_proxy_t *proxy;
    const char *reason = NULL;

    net->proxy = NULL;
    if (!net->egress_proxy) {
        return APR_SUCCESS;
    }
    proxy = apr_pcalloc(pool, sizeof(*proxy));
    if (rh_url_parse(pool, net->egress_proxy, strlen(net->egress_proxy), &proxy->url, &reason) !=
        APR_SUCCESS) {
        *error = apr_pstrcat(pool, "the egress proxy's URL ", reason, NULL);
        return APR_EINVAL;
    }
    proxy->resolves = net->egress_resolve_proxy;
    proxy->login = net->egress_auth ? basic_login(pool, net->egress_auth) : NULL;
    net->proxy = proxy;
    return read_exceptions(net->egress_except, pool, &proxy->except, error);
}

void rh_proxy_choose(const rh_proxy_t *proxy, const rh_egress_policy_t *policy, const char *host,
                     const rh_addresses_t *found, rh_proxy_targets_t *targets)
{
    static const int families[] = {APR_INET, APR_INET6};

    targets->count = 0;
    targets->direct = rh_egress_names(proxy->except, host, NULL);
    for (int turn = 0; turn < 2; turn++) {
        for (int i = 0; i < found->count; i++) {
            const rh_address_t *address = &found->address[i];

            if (address->family != families[turn] || !rh_egress_allows(policy, host, address)) {
                continue;
            }
            targets->direct = targets->direct || rh_egress_names(proxy->except, host, address);
            targets->address[targets->count++] = *address;
        }
    }
}
