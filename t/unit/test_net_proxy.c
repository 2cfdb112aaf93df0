/* Licensed under the Apache License, Version 2.0: see LICENSE. */
#include "net_server.h"

#include "rh_call.h"

#include "tap.h"

#include <apr_general.h>
#include <signal.h>

#define TIMEOUT apr_time_from_sec(10)

static apr_pool_t *pool, *loop_pool;
static rh_calls_t *calls;
static rh_net_config_t net;

/* ---- a name server ---- */

/** The IPv4 addresses of each name, one per response; the last one is repeated. */
static struct zone_t {
    const char *label; /**< of a name below .test */
    const char *responses[3];
    int asked; /**< atomic */
} zone[] = {
    {"open", {"8.8.8.8"}, 0},        {"rebind", {"8.8.8.8", "169.254.169.254"}, 0},
    {"inner", {"10.1.2.3"}, 0},      {"mixed", {"10.1.2.3 8.8.4.4"}, 0},
    {"two", {"8.8.8.8 8.8.4.4"}, 0}, {"local", {"127.0.0.1"}, 0},
    {"denied", {"8.8.8.8"}, 0},
};
static int name_server;
static unsigned short name_port;

static struct zone_t *find_name(const unsigned char *label)
{
    for (size_t i = 0; i < sizeof(zone) / sizeof(zone[0]); i++) {
        if (label[0] == strlen(zone[i].label) && memcmp(label + 1, zone[i].label, label[0]) == 0) {
            return &zone[i];
        }
    }
    return NULL;
}

/** Append A records with a TTL of one second. @return the length of the message */
static size_t put_addresses(unsigned char *message, size_t end, const char *addresses)
{
    static const unsigned char record[] = {0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 1, 0, 4};
    char text[64], *last = NULL;

    snprintf(text, sizeof(text), "%s", addresses);
    for (char *one = strtok_r(text, " ", &last); one; one = strtok_r(NULL, " ", &last)) {
        memcpy(message + end, record, sizeof(record));
        inet_pton(AF_INET, one, message + end + sizeof(record));
        end += sizeof(record) + 4;
        message[7]++;
    }
    return end;
}

static size_t answer_question(unsigned char *message, size_t len)
{
    struct zone_t *name = find_name(message + 12);
    size_t end = 12;

    while (end < len && message[end]) {
        end += message[end] + 1u;
    }
    end += 5;
    message[2] = 0x81;
    message[3] = name ? 0x80 : 0x83;
    memset(message + 6, 0, 6);
    if (name && message[end - 3] == 1) {
        int turn = net_add(name->asked, 1) - 1;

        while (turn > 0 && (turn >= 3 || !name->responses[turn])) {
            turn--;
        }
        end = put_addresses(message, end, name->responses[turn]);
    }
    return end;
}

static void *serve_names(void *data)
{
    unsigned char message[1024];
    struct sockaddr_in from;
    socklen_t size = sizeof(from);
    ssize_t len;

    (void)data;
    while ((len = recvfrom(name_server, message, 512, 0, (struct sockaddr *)&from, &size)) > 16) {
        len = (ssize_t)answer_question(message, (size_t)len);
        (void)sendto(name_server, message, (size_t)len, 0, (struct sockaddr *)&from, size);
        size = sizeof(from);
    }
    return NULL;
}

/* ---- a proxy that responds to CONNECT as told, and reads from the tunnel ---- */

typedef struct proxy_t {
    int listener;
    unsigned short port;
    pthread_t thread;
    const char *answers[2]; /**< status of the first CONNECT, and of those after it */
    char header[4096];      /**< target of the last CONNECT */
    char first[64];         /**< line of the first one */
    char heard[16];         /**< first bytes in the tunnel */
    int connections;        /**< atomic */
} proxy_t;

static void *proxy_run(void *data)
{
    proxy_t *proxy = data;
    int descriptor;

    while ((descriptor = accept(proxy->listener, NULL, NULL)) >= 0) {
        net_peer_t peer = {NULL, descriptor, NULL};
        int number = net_add(proxy->connections, 1);
        const char *answer = proxy->answers[number > 1 && proxy->answers[1] ? 1 : 0];

        if (net_read_request(&peer, proxy->header, sizeof(proxy->header))) {
            if (number == 1) {
                sscanf(proxy->header, "%63[^\r]", proxy->first);
            }
            if (net_say_slowly(&peer, answer, 100)) {
                (void)net_read(&peer, proxy->heard, sizeof(proxy->heard));
            }
        }
        close(descriptor);
    }
    return NULL;
}

static void proxy_start(proxy_t *proxy, const char *first, const char *later)
{
    memset(proxy, 0, sizeof(*proxy));
    proxy->answers[0] = first;
    proxy->answers[1] = later;
    proxy->listener = socket(AF_INET, SOCK_STREAM, 0);
    proxy->port = net_bind_to_loopback(proxy->listener);
    listen(proxy->listener, 10);
    pthread_create(&proxy->thread, NULL, proxy_run, proxy);
}

static void proxy_stop(proxy_t *proxy)
{
    shutdown(proxy->listener, SHUT_RDWR);
    pthread_join(proxy->thread, NULL);
    close(proxy->listener);
}

/* ---- the client ---- */

static void open_client(void)
{
    static const rh_client_limits_t limits = {8, 8, apr_time_from_sec(30), 0, 0};
    apr_allocator_t *allocator;

    apr_allocator_create(&allocator);
    apr_pool_create_ex(&loop_pool, NULL, NULL, allocator);
    apr_allocator_owner_set(allocator, loop_pool);
    calls = apr_pcalloc(loop_pool, sizeof(*calls));
    if (rh_reactor_make(loop_pool, &calls->reactor) != APR_SUCCESS ||
        rh_resolver_make(loop_pool, calls->reactor, &calls->resolver) != APR_SUCCESS ||
        rh_resolver_set_servers(
            calls->resolver, apr_psprintf(loop_pool, "127.0.0.1:%hu", name_port)) != APR_SUCCESS) {
        printf("Bail out! no client\n");
        exit(1);
    }
    calls->connections = rh_connections_make(loop_pool, calls->reactor, &limits);
    calls->reuse = true;
    APR_RING_INIT(&calls->active, rh_call_t, link);
    APR_RING_INIT(&calls->ended, rh_call_t, link);
}

static void use_proxy(unsigned short port)
{
    const char *error = NULL;

    net.egress_proxy = apr_psprintf(pool, "http://localhost:%hu", port);
    is_int(rh_proxy_init(&net, pool, &error), APR_SUCCESS, error ? error : "a proxy is set");
}

static void wait_a_moment(apr_interval_time_t wait)
{
    (void)rh_reactor_wait(calls->reactor, wait);
    rh_reactor_expire(calls->reactor);
}

static rh_exchange_t *post(const char *url)
{
    rh_exchange_t *exchange = apr_pcalloc(pool, sizeof(*exchange));
    rh_call_t *call;

    exchange->pool = pool;
    exchange->url = url;
    exchange->headers = apr_table_make(pool, 1);
    exchange->body.data = "[{}]";
    exchange->body.len = 4;
    exchange->timeout = TIMEOUT;
    exchange->connect_timeout = TIMEOUT;
    exchange->net = &net;
    exchange->reuse_key = "key";
    rh_call_start(calls, exchange);
    while (APR_RING_EMPTY(&calls->ended, rh_call_t, link)) {
        wait_a_moment(TIMEOUT);
    }
    call = APR_RING_FIRST(&calls->ended);
    APR_RING_REMOVE(call, link);
    return exchange;
}

static bool begins(const char *text, const char *with)
{
    return strncmp(text, with, strlen(with)) == 0;
}

/* ---- tests ---- */

static void plain_targets(void)
{
    net_server_t server;
    rh_exchange_t *exchange;

    net_server_start(&server, NULL);
    open_client();
    use_proxy(server.port);
    exchange = post("http://8.8.8.8:81/in?a=b");
    is_int(exchange->status_code, 200, "an http target is requested through the proxy");
    ok(begins(server.last, "POST http://8.8.8.8:81/in?a=b HTTP/1.1\r\nHost: 8.8.8.8:81\r\n"),
       "in absolute form");
    is_int(post("http://open.test/ok")->status_code, 200, "so is a name");
    ok(begins(server.last, "POST http://8.8.8.8/ok HTTP/1.1\r\nHost: open.test\r\n"),
       "the proxy is given its address, with the name as Host");
    ok(!strstr(server.last, "Proxy-Authorization"), "without credentials where none are set");
    post("http://open.test/ok");
    is_int(net_count(server.connections), 2, "its connections are reused");
    ok(begins(server.last, "POST http://8.8.8.8/ok HTTP/1.1\r\nHost: open.test\r\n"),
       "in the same way");
    post("http://mixed.test:81/ok");
    ok(begins(server.last, "POST http://8.8.4.4:81/ok HTTP/1.1\r\nHost: mixed.test:81\r\n"),
       "of several addresses the proxy is given an allowed one");
    exchange = post("http://127.0.0.1/");
    is_int(exchange->result, RH_EXCHANGE_REFUSED_ADDRESS, "an address that is not allowed");
    exchange = post("http://localhost/");
    is_int(exchange->result, RH_EXCHANGE_REFUSED_ADDRESS, "a name with such an address");
    exchange = post("http://denied.test/");
    is_int(exchange->result, RH_EXCHANGE_REFUSED_ADDRESS, "a name that is denied");
    exchange = post("http://unknown.test/");
    is_int(exchange->result, RH_EXCHANGE_RESOLVE, "a name without an address");
    is_int(net_count(server.requests), 4, "the proxy is not asked for any of them");
    apr_pool_destroy(loop_pool);
    net_server_stop(&server);
}

/** The name server's response changes between two attempts. */
static void rebinding(void)
{
    rh_exchange_t *exchange;
    proxy_t proxy;

    proxy_start(&proxy, "HTTP/1.1 200 Connected\r\n\r\n", NULL);
    open_client();
    use_proxy(proxy.port);
    exchange = post("https://rebind.test/in");
    is_int(exchange->result, RH_EXCHANGE_TLS, "the address that was allowed is requested");
    ok(begins(proxy.header, "CONNECT 8.8.8.8:443 HTTP/1.1\r\nHost: 8.8.8.8:443\r\n"),
       "not the name, which the proxy would look up again");
    wait_a_moment(apr_time_from_msec(600));
    wait_a_moment(apr_time_from_msec(600));
    exchange = post("https://rebind.test/in");
    is_int(exchange->result, RH_EXCHANGE_REFUSED_ADDRESS, "the next address is checked again");
    is_int(net_count(proxy.connections), 1, "the proxy gets no request for it");
    apr_pool_destroy(loop_pool);
    proxy_stop(&proxy);
}

/** Request an https target through a proxy with this status. @return the exchange's result */
static rh_exchange_t *tunnel(const char *first, const char *later, proxy_t *proxy)
{
    rh_exchange_t *exchange;

    proxy_start(proxy, first, later);
    open_client();
    use_proxy(proxy->port);
    exchange = post("https://two.test:8443/in");
    apr_pool_destroy(loop_pool);
    proxy_stop(proxy);
    return exchange;
}

static void tunnels(void)
{
    static const char connected[] =
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.0 200 Connected\r\nX: y\r\n\r\n";
    proxy_t proxy;
    rh_exchange_t *exchange = tunnel(connected, NULL, &proxy);

    is(proxy.first, "CONNECT 8.8.8.8:8443 HTTP/1.1", "https requests a tunnel");
    ok(proxy.heard[0] == 0x16 && proxy.heard[1] == 0x03, "TLS is spoken in it");
    is_int(exchange->result, RH_EXCHANGE_TLS, "the end of the tunnel ends the handshake");
    is_int(exchange->sent_first_byte_at, 0, "before anything of the request was sent");

    exchange = tunnel("HTTP/1.1 403 No\r\nContent-Length: 2\r\n\r\nno", NULL, &proxy);
    is_int(exchange->result, RH_EXCHANGE_CONNECT, "a proxy that refuses");
    is(exchange->error, "the egress proxy responded with 403 to CONNECT", "  why");
    is_int(exchange->status_code, 0, "  its status is not the target's");
    is_int(net_count(proxy.connections), 1, "  it is not asked again");
    exchange = tunnel("HTTP/1.1 503 No\r\n\r\n", connected, &proxy);
    ok(begins(proxy.first, "CONNECT 8.8.8.8:8443 ") &&
           begins(proxy.header, "CONNECT 8.8.4.4:8443 "),
       "if the proxy can't reach an address, the next one is tried");
    is_int(exchange->result, RH_EXCHANGE_TLS, "  and used");
    exchange = tunnel("HTTP/1.1 502 No\r\n\r\n", NULL, &proxy);
    is(exchange->error, "the egress proxy responded with 502 to CONNECT",
       "after the last one, its status is reported");
    is_int(net_count(proxy.connections), 2, "  there are no more");
    exchange = tunnel("SSH-2.0-none\r\n", NULL, &proxy);
    is(exchange->error, "the egress proxy's answer is not valid: it is not HTTP/1.x",
       "a proxy that does not speak HTTP");
    open_client();
    exchange = post("https://two.test/");
    is_int(exchange->result, RH_EXCHANGE_CONNECT, "a proxy that is not running");
    ok(begins(exchange->error, "egress proxy: connect to localhost "), "  why (%s)",
       exchange->error);
    apr_pool_destroy(loop_pool);
}

static void logins(void)
{
    /* "Basic dTpwOnA=" is u:p:p (RFC 7617). */
    static const char no[] = "HTTP/1.1 407 No\r\nProxy-Authenticate: Basic\r\n"
                             "Content-Length: 2\r\n\r\nno";
    net_server_t server;
    proxy_t proxy;
    rh_exchange_t *exchange = tunnel(no, NULL, &proxy);

    is(exchange->error, "the egress proxy asks for a login (407): auth= gives it one",
       "a proxy that wants a login says so");
    net.egress_auth = "u:p:p";
    exchange = tunnel(no, NULL, &proxy);
    ok(strstr(proxy.header, "\r\nProxy-Authorization: Basic dTpwOnA=\r\n"),
       "the proxy is given the login");
    is(exchange->error, "the egress proxy refused the login (407): check the file of auth=",
       "a login that it refuses is reported");
    is_int(exchange->result, RH_EXCHANGE_CONNECT, "  as the proxy's error");
    net_server_start(&server, NULL);
    open_client();
    use_proxy(server.port);
    is_int(post("http://open.test/ok")->status_code, 200, "an http target");
    ok(strstr(server.last, "\r\nProxy-Authorization: Basic dTpwOnA=\r\n"),
       "has the login in its request");
    exchange = post("http://open.test/login");
    is(exchange->error, "the egress proxy refused the login (407): check the file of auth=",
       "or is refused likewise");
    is_int(exchange->status_code, 0, "  it is not a status of the target");
    apr_pool_destroy(loop_pool);
    net_server_stop(&server);
    net.egress_auth = NULL;
}

static void exceptions(void)
{
    rh_egress_policy_t *policy = rh_egress_make(pool), *strict = rh_egress_make(pool);
    apr_array_header_t *rules = apr_array_make(pool, 2, sizeof(const char *));
    net_server_t server;
    char url[64], host[64];
    const char *error = NULL;

    rh_egress_add(policy, true, "127.0.0.0/8");
    APR_ARRAY_PUSH(rules, const char *) = "127.0.0.0/8";
    APR_ARRAY_PUSH(rules, const char *) = ".localhost";
    net.policy = policy;
    net.egress_except = rules;
    net_server_start(&server, NULL);
    open_client();
    use_proxy(server.port);
    snprintf(url, sizeof(url), "http://local.test:%hu/ok", server.port);
    snprintf(host, sizeof(host), "POST /ok HTTP/1.1\r\nHost: local.test:%hu\r\n", server.port);
    is_int(post(url)->status_code, 200, "an excepted address");
    ok(begins(server.last, host), "is connected to without the proxy");
    snprintf(url, sizeof(url), "http://a.localhost:%hu/ok", server.port);
    is_int(post(url)->status_code, 200, "so is a name");
    ok(begins(server.last, "POST /ok HTTP/1.1\r\nHost: a.localhost:"), "in origin form");
    is_int(post("http://open.test/ok")->status_code, 200, "others");
    ok(begins(server.last, "POST http://8.8.8.8/ok "), "go through it");
    apr_pool_destroy(loop_pool);
    net.policy = strict;
    open_client();
    snprintf(url, sizeof(url), "http://local.test:%hu/no", server.port);
    is_int(post(url)->result, RH_EXCHANGE_REFUSED_ADDRESS,
           "an exception does not allow an address");
    is_int(post("http://b.localhost:1/")->result, RH_EXCHANGE_REFUSED_ADDRESS, "not by its name");
    apr_pool_destroy(loop_pool);
    net_server_stop(&server);
    APR_ARRAY_PUSH(rules, const char *) = "10.1.2.3/8";
    is_int(rh_proxy_init(&net, pool, &error), APR_EINVAL, "an invalid rule is refused");
    ok(error && strstr(error, "10.1.2.3/8"), "  by name (%s)", error);
    net.egress_except = NULL;
}

static void handed_over(const rh_egress_policy_t *policy)
{
    net_server_t server;

    net.policy = policy;
    net.egress_resolve_proxy = true;
    net_server_start(&server, NULL);
    open_client();
    use_proxy(server.port);
    is_int(post("http://inner.test:81/ok")->status_code, 200,
           "with resolve=proxy a name is not checked");
    ok(begins(server.last, "POST http://inner.test:81/ok HTTP/1.1\r\nHost: inner.test:81\r\n"),
       "it is not looked up, but given to the proxy");
    is_int(post("http://unknown.test/ok")->status_code, 200, "also a name that is unknown here");
    is_int(net_count(zone[2].asked), 0, "no name server was asked");
    is_int(post("http://10.1.2.3/ok")->result, RH_EXCHANGE_REFUSED_ADDRESS,
           "an address is still checked");
    is_int(post("http://denied.test/ok")->result, RH_EXCHANGE_REFUSED_ADDRESS,
           "so is a name that is denied");
    apr_pool_destroy(loop_pool);
    net_server_stop(&server);
    net.egress_resolve_proxy = false;
}

int main(void)
{
    rh_egress_policy_t *policy;
    const char *error = NULL;
    pthread_t thread;

    signal(SIGPIPE, SIG_IGN);
    apr_initialize();
    apr_pool_create(&pool, NULL);
    policy = rh_egress_make(pool);
    rh_egress_add(policy, false, "denied.test");
    net.policy = policy;
    if (rh_client_global_init(pool) != APR_SUCCESS ||
        rh_net_config_init(&net, pool, &error) != APR_SUCCESS) {
        printf("Bail out! %s\n", error ? error : "the client can't be set up");
        return 1;
    }
    name_server = socket(AF_INET, SOCK_DGRAM, 0);
    name_port = net_bind_to_loopback(name_server);
    pthread_create(&thread, NULL, serve_names, NULL);
    plain_targets();
    rebinding();
    tunnels();
    logins();
    exceptions();
    handed_over(policy);
    shutdown(name_server, SHUT_RDWR);
    pthread_join(thread, NULL);
    close(name_server);
    apr_pool_destroy(pool);
    apr_terminate();
    return done_testing();
}
