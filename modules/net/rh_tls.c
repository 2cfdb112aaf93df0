/* Licensed under the Apache License, Version 2.0: see LICENSE. */
#include "rh_tls.h"

#include "rh_proxy.h"
#include "rh_wire.h"

#include <limits.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>

/** Our own verification error. */
#define NO_ALTERNATIVE_NAME X509_V_ERR_APPLICATION_VERIFICATION

/* ---- the context of a virtual host ---- */

/** httpd starts without a terminal, so a key with a passphrase is an error and never a prompt. */
static int refuse_passphrase(char *buffer, int size, int writing, void *baton)
{
    (void)buffer;
    (void)size;
    (void)writing;
    (void)baton;
    return 0;
}

static int pass_session_on(SSL *tls, SSL_SESSION *session)
{
    rh_tls_sink_t *sink = SSL_get_app_data(tls);

    if (!sink || !SSL_SESSION_is_resumable(session)) {
        return 0;
    }
    sink->keep(sink->baton, session);
    return 1;
}

/**
 * Called by OpenSSL for each result of verification. Give a certificate without any subjectAltName
 * an error of its own: its subject may well have the right name, but is never used (RFC 9525 §2).
 */
static int certificate_checked(int valid, X509_STORE_CTX *store)
{
    X509 *certificate = X509_STORE_CTX_get_current_cert(store);
    int error = X509_STORE_CTX_get_error(store);

    if (!valid && certificate &&
        (error == X509_V_ERR_HOSTNAME_MISMATCH || error == X509_V_ERR_IP_ADDRESS_MISMATCH) &&
        X509_get_ext_by_NID(certificate, NID_subject_alt_name, -1) < 0) {
        X509_STORE_CTX_set_error(store, NO_ALTERNATIVE_NAME);
    }
    return valid;
}

/** The context's app data is the BIO method of its connections. */
static apr_status_t free_context(void *data)
{
    BIO_METHOD *method = SSL_CTX_get_app_data(data);

    SSL_CTX_free(data);
    BIO_meth_free(method);
    return APR_SUCCESS;
}

/** Report what OpenSSL refused. The last error in its queue is generic; the first names the cause.
 */
static apr_status_t report_refusal(apr_pool_t *pool, const char *what, const char **error)
{
    unsigned long code = ERR_peek_error();
    const char *reason = code ? ERR_reason_error_string(code) : NULL;

    if (code && ERR_SYSTEM_ERROR(code)) {
        char text[128];

        reason = apr_pstrdup(pool, apr_strerror(ERR_GET_REASON(code), text, sizeof(text)));
    }
    *error = apr_psprintf(pool, "%s: %s", what, reason ? reason : "OpenSSL does not accept it");
    ERR_clear_error();
    return APR_EINVAL;
}

static apr_status_t load_files(const rh_net_config_t *net, SSL_CTX *context, apr_pool_t *pool,
                               const char **error)
{
    const char *key = net->tls_key ? net->tls_key : net->tls_certificate;

    ERR_clear_error();
    if (net->tls_ca_file) {
        if (SSL_CTX_load_verify_file(context, net->tls_ca_file) != 1) {
            return report_refusal(pool, net->tls_ca_file, error);
        }
    } else if (SSL_CTX_set_default_verify_paths(context) != 1) {
        return report_refusal(pool, "the system's certificate authorities", error);
    }
    ERR_clear_error();
    if (!net->tls_certificate) {
        return APR_SUCCESS;
    }
    if (SSL_CTX_use_certificate_chain_file(context, net->tls_certificate) != 1) {
        return report_refusal(pool, net->tls_certificate, error);
    }
    if (SSL_CTX_use_PrivateKey_file(context, key, SSL_FILETYPE_PEM) != 1 ||
        SSL_CTX_check_private_key(context) != 1) {
        return report_refusal(pool, key, error);
    }
    return APR_SUCCESS;
}

apr_status_t rh_net_config_init(rh_net_config_t *net, apr_pool_t *pool, const char **error)
{
    static const unsigned char protocol[] = {8, 'h', 't', 't', 'p', '/', '1', '.', '1'};
    SSL_CTX *context;
    apr_status_t status;

    ERR_clear_error();
    context = SSL_CTX_new(TLS_client_method());
    if (!context) {
        return report_refusal(pool, "OpenSSL", error);
    }
    SSL_CTX_set_app_data(context, rh_wire_method());
    SSL_CTX_set_default_passwd_cb(context, refuse_passphrase);
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, certificate_checked);
    /* If the end comes without close_notify, the length that HTTP announced decides. */
    SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                     SSL_OP_IGNORE_UNEXPECTED_EOF);
    SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                  SSL_MODE_RELEASE_BUFFERS);
    /* Each loop keeps the sessions, separately for each subscription. */
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(context, pass_session_on);
    if (!SSL_CTX_get_app_data(context) ||
        SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) != 1 ||
        SSL_CTX_set_alpn_protos(context, protocol, sizeof(protocol)) != 0) {
        status = report_refusal(pool, "OpenSSL", error);
    } else {
        status = load_files(net, context, pool, error);
    }
    if (status != APR_SUCCESS) {
        (void)free_context(context);
        return status;
    }
    apr_pool_cleanup_register(pool, context, free_context, apr_pool_cleanup_null);
    net->tls = context;
    return rh_proxy_init(net, pool, error);
}

/* ---- a connection ---- */

SSL *rh_tls_open(const rh_net_config_t *net, apr_socket_t *socket, const char *host,
                 bool is_address, SSL_SESSION *session)
{
    SSL *tls;
    BIO *wire;

    ERR_clear_error();
    tls = net->tls ? SSL_new(net->tls) : NULL;
    if (!tls) {
        return NULL;
    }
    wire = rh_wire_open(SSL_CTX_get_app_data(net->tls), socket);
    if (wire) {
        SSL_set_bio(tls, wire, wire);
    }
    SSL_set_hostflags(tls,
                      X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS | X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
    if (!wire ||
        (is_address ? X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(tls), host) != 1
                    : SSL_set1_host(tls, host) != 1 || SSL_set_tlsext_host_name(tls, host) != 1)) {
        SSL_free(tls);
        ERR_clear_error();
        return NULL;
    }
    if (session) {
        (void)SSL_set_session(tls, session);
    }
    SSL_set_connect_state(tls);
    return tls;
}

apr_status_t rh_tls_status(SSL *tls)
{
    return rh_wire_status(SSL_get_rbio(tls));
}

/** Map the result of a call that did not succeed. */
static rh_io_t map_result(SSL *tls, int returned)
{
    switch (SSL_get_error(tls, returned)) {
    case SSL_ERROR_WANT_READ:
        return RH_IO_WANT_READ;
    case SSL_ERROR_WANT_WRITE:
        return RH_IO_WANT_WRITE;
    case SSL_ERROR_ZERO_RETURN:
        return RH_IO_CLOSED;
    case SSL_ERROR_SYSCALL:
        return ERR_peek_error() ? RH_IO_FAILED : rh_tls_status(tls) ? RH_IO_RESET : RH_IO_CLOSED;
    default:
        return RH_IO_FAILED;
    }
}

static void begin_call(SSL *tls)
{
    ERR_clear_error();
    rh_wire_begin(SSL_get_rbio(tls));
}

rh_io_t rh_tls_handshake(SSL *tls)
{
    int returned;

    begin_call(tls);
    returned = SSL_do_handshake(tls);
    return returned == 1 ? RH_IO_OK : map_result(tls, returned);
}

rh_io_t rh_tls_read(SSL *tls, char *buffer, apr_size_t size, apr_size_t *len)
{
    int returned;

    begin_call(tls);
    returned = SSL_read(tls, buffer, size > INT_MAX ? INT_MAX : (int)size);
    *len = returned > 0 ? (apr_size_t)returned : 0;
    return returned > 0 ? RH_IO_OK : map_result(tls, returned);
}

rh_io_t rh_tls_write(SSL *tls, const char *data, apr_size_t len, apr_size_t *written)
{
    int returned;

    begin_call(tls);
    returned = SSL_write(tls, data, len > INT_MAX ? INT_MAX : (int)len);
    *written = returned > 0 ? (apr_size_t)returned : 0;
    return returned > 0 ? RH_IO_OK : map_result(tls, returned);
}

bool rh_tls_is_idle(SSL *tls)
{
    char byte;
    int returned;

    begin_call(tls);
    returned = SSL_peek(tls, &byte, 1);
    return returned <= 0 && map_result(tls, returned) == RH_IO_WANT_READ &&
           !rh_wire_spent(SSL_get_rbio(tls));
}

const char *rh_tls_reason(SSL *tls, apr_pool_t *pool)
{
    long verified = SSL_get_verify_result(tls);
    unsigned long code = ERR_peek_error();
    const char *reason;

    if (verified == X509_V_ERR_HOSTNAME_MISMATCH || verified == X509_V_ERR_IP_ADDRESS_MISMATCH) {
        return "TLS: the certificate is for another name";
    }
    if (verified == NO_ALTERNATIVE_NAME) {
        return "TLS: the certificate has no subjectAltName";
    }
    if (verified != X509_V_OK) {
        reason = X509_verify_cert_error_string(verified);
        return apr_psprintf(pool, "TLS: the certificate is not trusted: %s", reason);
    }
    if (ERR_GET_LIB(code) == ERR_LIB_SSL && (ERR_GET_REASON(code) == SSL_R_WRONG_VERSION_NUMBER ||
                                             ERR_GET_REASON(code) == SSL_R_HTTP_REQUEST)) {
        return "TLS: the server does not speak TLS";
    }
    if (ERR_GET_LIB(code) == ERR_LIB_SSL &&
        ERR_GET_REASON(code) == SSL_R_TLSV1_ALERT_NO_APPLICATION_PROTOCOL) {
        return "TLS: the target offers HTTP/2 only; HTTP/1.1 is needed";
    }
    reason = code ? ERR_reason_error_string(code) : NULL;
    return apr_psprintf(pool, "TLS: %s", reason ? reason : "failed");
}

void rh_tls_close(SSL *tls)
{
    ERR_clear_error();
    if (SSL_is_init_finished(tls)) {
        (void)SSL_shutdown(tls);
    }
    SSL_free(tls);
    ERR_clear_error();
}
