/* Licensed under the Apache License, Version 2.0: see LICENSE. */
#include "net_server.h"

#include "rh_client.h"
#include "rh_timer.h"
#include "rh_wire.h"

#include <apr_portable.h>

#include "tap.h"

#include <apr_file_io.h>
#include <apr_general.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <signal.h>

#define TIMEOUT apr_time_from_sec(10)
/** Maximum duration of the flood from the flooding server. */
#define FLOOD apr_time_from_sec(8)

static apr_pool_t *pool, *loop_pool;
static rh_transport_t *transport;
static rh_egress_policy_t *policy;
static bool running;

/* ---- certificates ---- */

typedef struct identity_t {
    EVP_PKEY *key;
    X509 *certificate;
    const char *file; /**< both, as PEM */
} identity_t;

static void extend(X509 *certificate, X509V3_CTX *context, int nid, const char *value)
{
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, context, nid, value);

    X509_add_ext(certificate, extension, -1);
    X509_EXTENSION_free(extension);
}

static identity_t issue(const identity_t *issuer, const char *name, const char *alternatives,
                        long seconds)
{
    static long serial = 1;
    identity_t made;
    X509V3_CTX context;
    X509_NAME *subject;
    apr_file_t *file;
    BIO *bio;
    char *path = apr_pstrdup(pool, "/tmp/rh-test-XXXXXX");

    made.key = EVP_EC_gen("P-256");
    made.certificate = X509_new();
    X509_set_version(made.certificate, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(made.certificate), serial++);
    X509_gmtime_adj(X509_getm_notBefore(made.certificate), -7200);
    X509_gmtime_adj(X509_getm_notAfter(made.certificate), seconds);
    X509_set_pubkey(made.certificate, made.key);
    subject = X509_get_subject_name(made.certificate);
    X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, (const unsigned char *)name, -1, -1, 0);
    X509_set_issuer_name(made.certificate,
                         issuer ? X509_get_subject_name(issuer->certificate) : subject);
    X509V3_set_ctx(&context, issuer ? issuer->certificate : made.certificate, made.certificate,
                   NULL, NULL, 0);
    if (issuer && alternatives) {
        extend(made.certificate, &context, NID_subject_alt_name, alternatives);
    } else if (!issuer) {
        extend(made.certificate, &context, NID_basic_constraints, "critical,CA:TRUE");
    }
    X509_sign(made.certificate, issuer ? issuer->key : made.key, EVP_sha256());
    apr_file_mktemp(&file, path, APR_FOPEN_CREATE | APR_FOPEN_READ | APR_FOPEN_WRITE, pool);
    bio = BIO_new_file(path, "w");
    PEM_write_bio_X509(bio, made.certificate);
    PEM_write_bio_PrivateKey(bio, made.key, NULL, NULL, 0, NULL, NULL);
    BIO_free(bio);
    made.file = path;
    return made;
}

static void discard(identity_t *identity)
{
    unlink(identity->file);
    X509_free(identity->certificate);
    EVP_PKEY_free(identity->key);
}

static SSL_CTX *server_context(const identity_t *identity, const identity_t *clients)
{
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());

    SSL_CTX_use_certificate(context, identity->certificate);
    SSL_CTX_use_PrivateKey(context, identity->key);
    SSL_CTX_set_session_id_context(context, (const unsigned char *)"test", 4);
    if (clients) {
        SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
        X509_STORE_add_cert(SSL_CTX_get_cert_store(context), clients->certificate);
    }
    return context;
}

/* ---- the client ---- */

static void done(rh_exchange_t *exchange, void *baton)
{
    (void)exchange;
    (void)baton;
    running = false;
}

static rh_exchange_t *begin(const rh_net_config_t *net, const char *url, const char *key,
                            apr_interval_time_t timeout)
{
    rh_exchange_t *exchange = apr_pcalloc(pool, sizeof(*exchange));

    exchange->pool = pool;
    exchange->url = url;
    exchange->headers = apr_table_make(pool, 1);
    exchange->body.data = "[{}]";
    exchange->body.len = 4;
    exchange->timeout = timeout;
    exchange->connect_timeout = timeout;
    exchange->net = net;
    exchange->reuse_key = key;
    exchange->done = done;
    running = true;
    transport->send(transport, exchange);
    return exchange;
}

static void finish(void)
{
    while (running) {
        transport->poll(transport, TIMEOUT);
    }
}

static rh_exchange_t *post(const rh_net_config_t *net, const char *url, const char *key)
{
    rh_exchange_t *exchange = begin(net, url, key, TIMEOUT);

    finish();
    return exchange;
}

static apr_interval_time_t session_life = apr_time_from_sec(3600);

static void open_client(void)
{
    rh_client_limits_t limits = {8, 8, apr_time_from_sec(30), 0, session_life};
    apr_allocator_t *allocator;

    apr_allocator_create(&allocator);
    apr_pool_create_ex(&loop_pool, NULL, NULL, allocator);
    apr_allocator_owner_set(allocator, loop_pool);
    rh_client_make(loop_pool, &limits, NULL, &transport);
}

static void make_net(rh_net_config_t *net, const char *ca_file, const char *certificate)
{
    const char *error = NULL;

    memset(net, 0, sizeof(*net));
    net->policy = policy;
    net->tls_ca_file = ca_file;
    net->tls_certificate = certificate;
    ok(rh_net_config_init(net, pool, &error) == APR_SUCCESS, "settings are accepted%s%s",
       error ? ": " : "", error ? error : "");
}

static const char *url_of(const char *host, const net_server_t *server, const char *path)
{
    return apr_psprintf(pool, "https://%s:%hu%s", host, server->port, path);
}

static void verification(const identity_t *authority, const identity_t *good)
{
    identity_t other = issue(authority, "other", "DNS:elsewhere.example,IP:127.0.0.9", 3600);
    identity_t expired = issue(authority, "old", "IP:127.0.0.1", -3600);
    identity_t stranger = issue(NULL, "stranger", NULL, 3600);
    const identity_t *identities[] = {good, &other, &expired, &stranger};
    static const char *const errors[] = {
        NULL, "TLS: the certificate is for another name",
        "TLS: the certificate is not trusted: certificate has expired",
        "TLS: the certificate is not trusted: self-signed certificate"};
    static const char *const names[] = {"of the target", "of another", "that has expired",
                                        "of nobody"};
    rh_net_config_t net;
    net_server_t server;
    rh_exchange_t *exchange;

    make_net(&net, authority->file, NULL);
    for (int i = 0; i < 4; i++) {
        SSL_CTX *context = server_context(identities[i], NULL);

        net_server_start(&server, context);
        open_client();
        exchange = post(&net, url_of("127.0.0.1", &server, "/ok"), "key");
        is_int(exchange->result, errors[i] ? RH_EXCHANGE_TLS : RH_EXCHANGE_OK,
               apr_psprintf(pool, "a certificate %s", names[i]));
        is(exchange->error, errors[i], "  why");
        is_int(net_count(server.requests), errors[i] ? 0 : 1, "  the target got the request");
        if (!errors[i]) {
            exchange = post(&net, url_of("127.0.0.1", &server, "/chunked"), "key");
            ok(exchange->answer.len == 11 && memcmp(exchange->answer.data, "hello world", 11) == 0,
               "  also in records of one byte");
            exchange = post(&net, url_of("127.0.0.1", &server, "/abrupt"), "key");
            is_int(exchange->status_code, 200, "  or up to an end without close_notify");
            exchange = post(&net, url_of("localhost", &server, "/ok"), "key");
            is_int(exchange->status_code, 200, "  also by name");
            exchange = post(&net, url_of("a.localhost", &server, "/ok"), "key");
            is(exchange->error, errors[1], "  not by another name");
        }
        apr_pool_destroy(loop_pool);
        net_server_stop(&server);
        SSL_CTX_free(context);
    }
    discard(&other);
    discard(&expired);
    discard(&stranger);
}

/** A server that speaks only HTTP/2. */
static int select_nothing(SSL *tls, const unsigned char **selected, unsigned char *len,
                          const unsigned char *offered, unsigned int offered_len, void *baton)
{
    (void)tls;
    (void)selected;
    (void)len;
    (void)offered;
    (void)offered_len;
    (void)baton;
    return SSL_TLSEXT_ERR_ALERT_FATAL;
}

static void refusals(const identity_t *authority, const identity_t *good)
{
    identity_t bare = issue(authority, "localhost", NULL, 3600);
    SSL_CTX *context = server_context(&bare, NULL);
    rh_net_config_t net;
    net_server_t server;
    rh_exchange_t *exchange;

    make_net(&net, authority->file, NULL);
    net_server_start(&server, context);
    open_client();
    exchange = post(&net, url_of("localhost", &server, "/ok"), "key");
    is(exchange->error, "TLS: the certificate has no subjectAltName",
       "a name that is only in the subject is not trusted");
    exchange = post(&net, url_of("127.0.0.1", &server, "/ok"), "key");
    is(exchange->error, "TLS: the certificate has no subjectAltName", "neither is an address");
    is_int(net_count(server.requests), 0, "the target got nothing");
    apr_pool_destroy(loop_pool);
    net_server_stop(&server);
    SSL_CTX_free(context);
    discard(&bare);

    context = server_context(good, NULL);
    SSL_CTX_set_alpn_select_cb(context, select_nothing, NULL);
    net_server_start(&server, context);
    open_client();
    exchange = post(&net, url_of("localhost", &server, "/ok"), "key");
    is(exchange->error, "TLS: the target offers HTTP/2 only; HTTP/1.1 is needed",
       "a target without HTTP/1.1 is told");
    apr_pool_destroy(loop_pool);
    net_server_stop(&server);
    SSL_CTX_free(context);
    context = server_context(good, NULL);
    net_server_start(&server, context);
    open_client();
    exchange = post(&net, url_of("localhost", &server, "/http2"), "key");
    is(exchange->error, "not a valid answer: it is HTTP/2; HTTP/1.1 is needed",
       "so is one that begins to speak it");
    apr_pool_destroy(loop_pool);
    net_server_stop(&server);
    SSL_CTX_free(context);
}

static void client_certificate(const identity_t *authority, const identity_t *good)
{
    identity_t client = issue(authority, "client", "DNS:client", 3600);
    SSL_CTX *context = server_context(good, authority);
    rh_net_config_t with, without;
    net_server_t server;
    rh_exchange_t *exchange;

    make_net(&with, authority->file, client.file);
    make_net(&without, authority->file, NULL);
    net_server_start(&server, context);
    open_client();
    exchange = post(&with, url_of("127.0.0.1", &server, "/ok"), "key");
    is_int(exchange->status_code, 200, "a client certificate is sent");
    exchange = post(&without, url_of("127.0.0.1", &server, "/ok"), "key");
    ok(exchange->result == RH_EXCHANGE_TLS || exchange->result == RH_EXCHANGE_RESET,
       "a host without one does not use it (%s)", exchange->error);
    apr_pool_destroy(loop_pool);
    net_server_stop(&server);
    SSL_CTX_free(context);
    discard(&client);
}

static void resumption(const identity_t *authority, const identity_t *good, int version)
{
    SSL_CTX *context = server_context(good, NULL);
    const char *name = version == TLS1_3_VERSION ? "TLS 1.3" : "TLS 1.2";
    rh_net_config_t net;
    net_server_t server;

    SSL_CTX_set_max_proto_version(context, version);
    make_net(&net, authority->file, NULL);
    net_server_start(&server, context);
    open_client();
    for (int i = 0; i < 4; i++) {
        is_int(post(&net, url_of("127.0.0.1", &server, "/close"), "key")->status_code, 200, name);
    }
    is_int(net_count(server.connections), 4, "  each time on a new connection");
    is_int(net_count(server.resumed), 3, "  which resumes the session of the one before");
    post(&net, url_of("127.0.0.1", &server, "/close"), "another");
    post(&net, url_of("localhost", &server, "/close"), "key");
    is_int(net_count(server.resumed), 3, "  but not of another key or host");
    for (int i = 0; i < 3; i++) {
        post(&net, url_of("127.0.0.1", &server, "/ok"), "key");
    }
    is_int(net_count(server.connections), 7, "  connections are reused");
    post(&net, url_of("127.0.0.1", &server, "/once"), "key");
    is_int(post(&net, url_of("127.0.0.1", &server, "/once"), "key")->status_code, 200,
           "  if one is closed under a request, that is sent again");
    apr_pool_destroy(loop_pool);
    net_server_stop(&server);
    SSL_CTX_free(context);
}

/** The age of a verification counts, however often the session was resumed. */
static void end_of_resumption(const identity_t *authority, const identity_t *good)
{
    SSL_CTX *context = server_context(good, NULL);
    rh_net_config_t net;
    net_server_t server;
    apr_time_t began = rh_monotonic_now();
    int whole;

    make_net(&net, authority->file, NULL);
    net_server_start(&server, context);
    session_life = apr_time_from_sec(1);
    open_client();
    session_life = apr_time_from_sec(3600);
    do {
        post(&net, url_of("127.0.0.1", &server, "/close"), "key");
        usleep(100000);
        whole = net_count(server.connections) - net_count(server.resumed);
    } while (whole < 2 && rh_monotonic_now() - began < apr_time_from_sec(20));
    is_int(whole, 2, "after a while the certificate is verified again");
    apr_pool_destroy(loop_pool);
    net_server_stop(&server);
    SSL_CTX_free(context);
}

/** Cut off clients that send a ticket. */
static int cut_off(SSL *tls, int *alert, void *baton)
{
    const unsigned char *ticket;
    size_t len = 0;

    (void)alert;
    (void)baton;
    if (SSL_client_hello_get0_ext(tls, TLSEXT_TYPE_session_ticket, &ticket, &len) && len) {
        shutdown(SSL_get_fd(tls), SHUT_RDWR);
        return SSL_CLIENT_HELLO_ERROR;
    }
    return SSL_CLIENT_HELLO_SUCCESS;
}

static void failing_resumption(const identity_t *authority, const identity_t *good)
{
    SSL_CTX *context = server_context(good, NULL);
    rh_net_config_t net;
    net_server_t server;

    SSL_CTX_set_max_proto_version(context, TLS1_2_VERSION);
    SSL_CTX_set_client_hello_cb(context, cut_off, NULL);
    make_net(&net, authority->file, NULL);
    net_server_start(&server, context);
    open_client();
    is_int(post(&net, url_of("127.0.0.1", &server, "/close"), "key")->status_code, 200,
           "a session is made");
    is_int(post(&net, url_of("127.0.0.1", &server, "/close"), "key")->result, RH_EXCHANGE_TLS,
           "the server can't resume it");
    is_int(post(&net, url_of("127.0.0.1", &server, "/close"), "key")->status_code, 200,
           "it is not offered again");
    apr_pool_destroy(loop_pool);
    net_server_stop(&server);
    SSL_CTX_free(context);
}

static void old_protocol(const identity_t *authority, const identity_t *good)
{
    SSL_CTX *context = server_context(good, NULL);
    rh_net_config_t net;
    net_server_t server;

    SSL_CTX_set_min_proto_version(context, TLS1_VERSION);
    SSL_CTX_set_max_proto_version(context, TLS1_1_VERSION);
    SSL_CTX_set_cipher_list(context, "DEFAULT:@SECLEVEL=0");
    make_net(&net, authority->file, NULL);
    is_int(SSL_CTX_get_min_proto_version(net.tls), TLS1_2_VERSION, "TLS 1.2 is accepted");
    net_server_start(&server, context);
    open_client();
    is_int(post(&net, url_of("127.0.0.1", &server, "/ok"), "key")->result, RH_EXCHANGE_TLS,
           "TLS 1.1 is refused");
    apr_pool_destroy(loop_pool);
    net_server_stop(&server);
    SSL_CTX_free(context);
}

/** Bounds of what one call of OpenSSL may read. */
static void shares(void)
{
    BIO_METHOD *method = rh_wire_method();
    char bytes[40000];
    int ends[2], got, total = 0, count = 0;
    apr_socket_t *near = NULL;
    BIO *bio;

    memset(bytes, 'x', sizeof(bytes));
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends) != 0) {
        ok(false, "a pair of sockets");
        return;
    }
    apr_os_sock_put(&near, &ends[0], pool);
    apr_socket_timeout_set(near, 0);
    bio = rh_wire_open(method, near);
    ok(BIO_read(bio, bytes, 10) < 0 && BIO_should_read(bio), "without data, the call asks to wait");
    is_int(write(ends[1], bytes, sizeof(bytes)), sizeof(bytes), "a lot comes");
    while ((got = BIO_read(bio, bytes, 10000)) > 0) {
        total += got;
    }
    ok(BIO_should_read(bio) && rh_wire_spent(bio), "only a share of it is read");
    rh_wire_begin(bio);
    while ((got = BIO_read(bio, bytes, 10000)) > 0) {
        total += got;
    }
    is_int(total, sizeof(bytes), "the next call continues");
    ok(!rh_wire_spent(bio), "it still has more to read");
    is_int(write(ends[1], bytes, 1000), 1000, "something comes");
    rh_wire_begin(bio);
    while (BIO_read(bio, bytes, 1) > 0) {
        count++;
    }
    ok(count > 10 && count < 100 && rh_wire_spent(bio), "one call makes %d reads", count);
    is_int(BIO_write(bio, bytes, 5), 5, "writing is not limited");
    close(ends[1]);
    rh_wire_begin(bio);
    is_int(BIO_read(bio, bytes, sizeof(bytes)), 1000 - count, "the rest is read");
    ok(BIO_read(bio, bytes, 1) <= 0 && !BIO_should_retry(bio), "then the end is noticed");
    ok(BIO_write(bio, bytes, 5) < 0 && !BIO_should_retry(bio),
       "writing after it does not kill the process");
    ok(APR_STATUS_IS_EPIPE(rh_wire_status(bio)), "it has its reason");
    BIO_free(bio);
    BIO_meth_free(method);
    close(ends[0]);
}

/* ---- a server that sends HelloRequests as fast as it can ---- */

static void *flood(void *listener)
{
    /* HelloRequest (RFC 5246 §7.4.1.1), one per record: a client ignores them. */
    static const unsigned char record[] = {22, 3, 3, 0, 4, 0, 0, 0, 0};
    int descriptor = accept(*(int *)listener, NULL, NULL);
    apr_time_t until = apr_time_now() + FLOOD;
    unsigned char records[1000 * sizeof(record)];

    for (size_t i = 0; i < sizeof(records); i++) {
        records[i] = record[i % sizeof(record)];
    }
    while (apr_time_now() < until &&
           send(descriptor, records, sizeof(records), MSG_NOSIGNAL) == (ssize_t)sizeof(records)) {
    }
    close(descriptor);
    return NULL;
}

static void flooded(const identity_t *authority)
{
    net_server_t server;
    rh_net_config_t net;
    pthread_t thread;
    rh_exchange_t *exchange;

    make_net(&net, authority->file, NULL);
    if (!net_listen(&server)) {
        ok(false, "a port on loopback");
        return;
    }
    pthread_create(&thread, NULL, flood, &server.listener);
    open_client();
    exchange = begin(&net, url_of("127.0.0.1", &server, "/"), "key", apr_time_from_sec(1));
    finish();
    is_int(exchange->result, RH_EXCHANGE_TIMEOUT,
           "a server that floods the handshake holds the loop no longer than its time-out");
    is(exchange->error, "time-out after 1.0 s: TLS handshake", "  why");
    apr_pool_destroy(loop_pool);
    pthread_join(thread, NULL);
    close(server.listener);
}

/** Reading a response of many records that have all arrived takes turns with other work. */
static void turns(const identity_t *authority, const identity_t *good)
{
    SSL_CTX *context = server_context(good, NULL);
    rh_net_config_t net;
    net_server_t server;
    rh_exchange_t *exchange;
    int polls = 0;

    make_net(&net, authority->file, NULL);
    net_server_start(&server, context);
    open_client();
    exchange = begin(&net, url_of("127.0.0.1", &server, "/records"), "key", TIMEOUT);
    while (running && !net_count(server.requests)) {
        transport->poll(transport, apr_time_from_msec(10));
    }
    for (int i = 0; i < 500 && net_count(server.open); i++) {
        usleep(10000);
    }
    for (; running; polls++) {
        transport->poll(transport, TIMEOUT);
    }
    is_int((long long)exchange->answer.len, 300, "a response of 300 records is read");
    ok(polls >= 10, "in many turns (%d)", polls);
    apr_pool_destroy(loop_pool);
    net_server_stop(&server);
    SSL_CTX_free(context);
}

/** The error about a file must name it. */
static void refuses(rh_net_config_t *net, const char *file, const char *name)
{
    const char *error = "";
    apr_status_t status = rh_net_config_init(net, pool, &error);

    ok(status != APR_SUCCESS && strstr(error, file), "%s is named (%s)", name, error);
}

static void bad_files(const identity_t *good)
{
    identity_t stranger = issue(NULL, "stranger", NULL, 3600);
    rh_net_config_t net;

    memset(&net, 0, sizeof(net));
    net.tls_ca_file = "/nonexistent/rh.pem";
    refuses(&net, net.tls_ca_file, "a missing file of authorities");
    net.tls_ca_file = NULL;
    net.tls_certificate = "/dev/null";
    refuses(&net, net.tls_certificate, "an empty certificate");
    net.tls_certificate = good->file;
    net.tls_key = stranger.file;
    refuses(&net, net.tls_key, "a key of another certificate");
    discard(&stranger);
}

int main(void)
{
    identity_t authority, good;

    /* APR's writes may raise SIGPIPE. */
    signal(SIGPIPE, SIG_IGN);
    apr_initialize();
    apr_pool_create(&pool, NULL);
    if (rh_client_global_init(pool) != APR_SUCCESS) {
        return 1;
    }
    policy = rh_egress_make(pool);
    rh_egress_add(policy, true, "127.0.0.0/8");
    authority = issue(NULL, "authority", NULL, 3600);
    good = issue(&authority, "good", "DNS:localhost,IP:127.0.0.1", 3600);
    verification(&authority, &good);
    refusals(&authority, &good);
    client_certificate(&authority, &good);
    resumption(&authority, &good, TLS1_3_VERSION);
    resumption(&authority, &good, TLS1_2_VERSION);
    end_of_resumption(&authority, &good);
    failing_resumption(&authority, &good);
    old_protocol(&authority, &good);
    shares();
    flooded(&authority);
    turns(&authority, &good);
    bad_files(&good);
    discard(&good);
    discard(&authority);
    apr_pool_destroy(pool);
    apr_terminate();
    return done_testing();
}
