/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/*
 * Makes POSTs by the module's HTTP client, as its event loops do, to count their instructions
 * (t/bench/instructions.py runs it in callgrind).
 *
 * usage: posts URL COUNT kept|new    over one connection, or over a new one each
 */
#include "rh_client.h"

#include <apr_general.h>
#include <apr_strings.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#define BODY "{\"id\":4711,\"name\":\"Ada Lovelace\",\"role\":\"engineer\"}"

static int running, failed;

static void count_done(rh_exchange_t *exchange, void *baton)
{
    (void)baton;
    running--;
    failed += exchange->result != RH_EXCHANGE_OK || exchange->status_code != 200;
}

static void post(rh_transport_t *transport, const rh_net_config_t *net, const char *url,
                 apr_pool_t *pool)
{
    rh_exchange_t *exchange = apr_pcalloc(pool, sizeof(*exchange));

    exchange->pool = pool;
    exchange->url = url;
    exchange->headers = apr_table_make(pool, 4);
    apr_table_setn(exchange->headers, "Content-Type", "application/json");
    apr_table_setn(exchange->headers, "webhook-id", "0191f5a0-0000-7000-8000-000000000001");
    exchange->body.data = BODY;
    exchange->body.len = sizeof(BODY) - 1;
    exchange->timeout = apr_time_from_sec(60);
    exchange->connect_timeout = apr_time_from_sec(60);
    exchange->net = net;
    exchange->reuse_key = "posts";
    exchange->done = count_done;
    running++;
    transport->send(transport, exchange);
    while (running > 0) {
        transport->poll(transport, apr_time_from_sec(1));
    }
}

int main(int argc, char **argv)
{
    rh_client_limits_t limits = {.max_idle = 1, .max_idle_per_key = 1};
    rh_net_config_t net = {0};
    rh_egress_policy_t *policy;
    rh_transport_t *transport;
    apr_pool_t *root, *pool;
    const char *error;

    if (argc != 4 || apr_initialize() != APR_SUCCESS) {
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    apr_pool_create(&root, NULL);
    apr_pool_create(&pool, root);
    policy = rh_egress_make(root);
    net.policy = policy;
    limits.idle_timeout = strcmp(argv[3], "kept") == 0 ? apr_time_from_sec(60) : 0;
    limits.max_idle = limits.max_idle_per_key = limits.idle_timeout ? 1 : 0;
    if (rh_egress_add(policy, true, "127.0.0.0/8") != NULL ||
        rh_client_global_init(root) != APR_SUCCESS ||
        rh_net_config_init(&net, root, &error) != APR_SUCCESS ||
        rh_client_make(root, &limits, NULL, &transport) != APR_SUCCESS) {
        fputs("posts: cannot create the client\n", stderr);
        return 1;
    }
    for (int i = 0; i < atoi(argv[2]); i++) {
        post(transport, &net, argv[1], pool);
        apr_pool_clear(pool);
    }
    apr_pool_destroy(root);
    if (failed > 0) {
        fprintf(stderr, "posts: %d failed\n", failed);
        return 1;
    }
    return 0;
}
