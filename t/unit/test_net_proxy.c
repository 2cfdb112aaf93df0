/* Licensed under the Apache License, Version 2.0: see LICENSE. */
#include "net_server.h"

#include "rh_client.h"

#include "tap.h"

#include <apr_general.h>
#include <signal.h>

#define TIMEOUT apr_time_from_sec(10)

static apr_pool_t *pool, *loop_pool;
static rh_transport_t *transport;
static rh_net_config_t net;
static bool running;

/* ---- a proxy that answers CONNECT as it is told, and hears what comes through ---- */

typedef struct proxy_t {
    int listener;
    unsigned short port;
    pthread_t thread;
    const char *answer; /**< to CONNECT */
    char header[4096];  /**< of the last CONNECT */
    char heard[16];     /**< the first bytes in the tunnel */
    int connections;    /**< atomic */
} proxy_t;

static void *proxy_run(void *data)
{
    proxy_t *proxy = data;
    int descriptor;

    while ((descriptor = accept(proxy->listener, NULL, NULL)) >= 0) {
        net_peer_t peer = {NULL, descriptor, NULL};

        net_add(proxy->connections, 1);
        if (net_read_request(&peer, proxy->header, sizeof(proxy->header)) &&
            net_say_slowly(&peer, proxy->answer, 100)) {
            (void)net_read(&peer, proxy->heard, sizeof(proxy->heard));
        }
        close(descriptor);
    }
    return NULL;
}

static void proxy_start(proxy_t *proxy, const char *answer)
{
    struct sockaddr_in address;
    socklen_t size = sizeof(address);

    memset(proxy, 0, sizeof(*proxy));
    memset(&address, 0, sizeof(address));
    proxy->answer = answer;
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    proxy->listener = socket(AF_INET, SOCK_STREAM, 0);
    if (bind(proxy->listener, (struct sockaddr *)&address, size) != 0 ||
        listen(proxy->listener, 10) != 0) {
        perror("bind");
        exit(1);
    }
    getsockname(proxy->listener, (struct sockaddr *)&address, &size);
    proxy->port = ntohs(address.sin_port);
    pthread_create(&proxy->thread, NULL, proxy_run, proxy);
}

static void proxy_stop(proxy_t *proxy)
{
    shutdown(proxy->listener, SHUT_RDWR);
    pthread_join(proxy->thread, NULL);
    close(proxy->listener);
}

/* ---- the client ---- */

static void done(rh_exchange_t *exchange, void *baton)
{
    (void)exchange;
    (void)baton;
    running = false;
}

static rh_exchange_t *post(unsigned short port, const char *url)
{
    rh_exchange_t *exchange = apr_pcalloc(pool, sizeof(*exchange));

    net.egress_proxy = apr_psprintf(pool, "http://localhost:%hu", port);
    exchange->pool = pool;
    exchange->url = url;
    exchange->headers = apr_table_make(pool, 1);
    exchange->body.data = "[{}]";
    exchange->body.len = 4;
    exchange->timeout = TIMEOUT;
    exchange->connect_timeout = TIMEOUT;
    exchange->net = &net;
    exchange->reuse_key = "key";
    exchange->done = done;
    running = true;
    transport->send(transport, exchange);
    while (running) {
        transport->poll(transport, TIMEOUT);
    }
    return exchange;
}

static bool begins(const char *text, const char *with)
{
    return strncmp(text, with, strlen(with)) == 0;
}

static void open_client(void)
{
    rh_client_limits_t limits = {8, 8, apr_time_from_sec(30), 0, 0};
    apr_allocator_t *allocator;

    apr_allocator_create(&allocator);
    apr_pool_create_ex(&loop_pool, NULL, NULL, allocator);
    apr_allocator_owner_set(allocator, loop_pool);
    rh_client_make(loop_pool, &limits, NULL, &transport);
}

static void plain_targets(void)
{
    net_server_t server;
    rh_exchange_t *exchange;

    net_server_start(&server, NULL);
    open_client();
    exchange = post(server.port, "http://8.8.8.8:81/in?a=b");
    is_int(exchange->status_code, 200, "http goes through the proxy");
    ok(begins(server.last, "POST http://8.8.8.8:81/in?a=b HTTP/1.1\r\nHost: 8.8.8.8:81\r\n"),
       "in absolute form");
    is_int(post(server.port, "http://name.invalid/ok")->status_code, 200,
           "a name that is not known here is the proxy's to find");
    post(server.port, "http://name.invalid/ok");
    is_int(net_count(server.connections), 2, "its connections are used again");
    exchange = post(server.port, "http://127.0.0.1/");
    is_int(exchange->result, RH_EXCHANGE_REFUSED_ADDRESS, "an address that is not allowed");
    exchange = post(server.port, "http://localhost/");
    is_int(exchange->result, RH_EXCHANGE_REFUSED_ADDRESS, "a name with such an address");
    exchange = post(server.port, "http://denied.invalid/");
    is_int(exchange->result, RH_EXCHANGE_REFUSED_ADDRESS, "a name that is denied");
    is_int(net_count(server.requests), 3, "they are not even asked for");
    apr_pool_destroy(loop_pool);
    net_server_stop(&server);
}

/** An https target by a proxy that answers so. @return what the exchange came to */
static rh_exchange_t *tunnel(const char *answer, proxy_t *proxy)
{
    rh_exchange_t *exchange;

    proxy_start(proxy, answer);
    open_client();
    exchange = post(proxy->port, "https://example.invalid:8443/in");
    apr_pool_destroy(loop_pool);
    proxy_stop(proxy);
    return exchange;
}

static void tunnels(void)
{
    proxy_t proxy;
    rh_exchange_t *exchange =
        tunnel("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.0 200 Connected\r\nX: y\r\n\r\n", &proxy);

    ok(begins(proxy.header,
              "CONNECT example.invalid:8443 HTTP/1.1\r\nHost: example.invalid:8443\r\n"),
       "https asks for a tunnel");
    ok(proxy.heard[0] == 0x16 && proxy.heard[1] == 0x03, "and speaks TLS in it");
    is_int(exchange->result, RH_EXCHANGE_TLS, "an end of the tunnel ends the handshake");
    is_int(exchange->sent_first_byte_at, 0, "before anything of the request was sent");

    exchange = tunnel("HTTP/1.1 403 No\r\nContent-Length: 2\r\n\r\nno", &proxy);
    is_int(exchange->result, RH_EXCHANGE_CONNECT, "a proxy that refuses");
    is(exchange->error, "the egress proxy answered 403 to CONNECT", "  why");
    is_int(exchange->status_code, 0, "  its status is not the target's");
    exchange = tunnel("SSH-2.0-none\r\n", &proxy);
    is(exchange->error, "the egress proxy's answer is not valid: it is not HTTP/1.x",
       "a proxy that is none");
    open_client();
    exchange = post(proxy.port, "https://example.invalid/");
    is_int(exchange->result, RH_EXCHANGE_CONNECT, "a proxy that is gone");
    ok(begins(exchange->error, "egress proxy: connect to localhost "), "  why (%s)",
       exchange->error);
    apr_pool_destroy(loop_pool);
}

int main(void)
{
    rh_egress_policy_t *policy;
    const char *error = NULL;

    signal(SIGPIPE, SIG_IGN);
    apr_initialize();
    apr_pool_create(&pool, NULL);
    policy = rh_egress_make(pool);
    rh_egress_add(policy, false, "denied.invalid");
    net.policy = policy;
    if (rh_client_global_init(pool) != APR_SUCCESS ||
        rh_net_config_init(&net, pool, &error) != APR_SUCCESS) {
        printf("Bail out! %s\n", error ? error : "the client can't be set up");
        return 1;
    }
    plain_targets();
    tunnels();
    apr_pool_destroy(pool);
    apr_terminate();
    return done_testing();
}
