/* Licensed under the Apache License, Version 2.0: see LICENSE. */
#include "rh_wire.h"

#include <openssl/crypto.h>

/** Maximum number of reads and bytes in one call. A record takes two reads and has little more than
 * 16 KiB. */
#define CALL_MAX_READS 32
#define CALL_MAX_BYTES 32768

typedef struct wire_t {
    apr_socket_t *socket;
    int reads_left, bytes_left;
    bool ended; /**< the other side sends nothing more */
    apr_status_t status;
} wire_t;

static int wire_create(BIO *bio)
{
    wire_t *wire = OPENSSL_zalloc(sizeof(*wire));

    BIO_set_data(bio, wire);
    BIO_set_init(bio, wire != NULL);
    return wire != NULL;
}

static int wire_destroy(BIO *bio)
{
    OPENSSL_free(BIO_get_data(bio));
    BIO_set_data(bio, NULL);
    return 1;
}

static int wire_read(BIO *bio, char *buffer, int size)
{
    wire_t *wire = BIO_get_data(bio);
    apr_size_t len;
    apr_status_t status;

    BIO_clear_retry_flags(bio);
    if (size <= 0) {
        return 0;
    }
    if (rh_wire_spent(bio)) {
        BIO_set_retry_read(bio);
        return -1;
    }
    len = (apr_size_t)(size < wire->bytes_left ? size : wire->bytes_left);
    status = apr_socket_recv(wire->socket, buffer, &len);
    if (status == APR_SUCCESS) {
        wire->reads_left--;
        wire->bytes_left -= (int)len;
        return (int)len;
    }
    if (APR_STATUS_IS_EOF(status)) {
        wire->ended = true;
        return 0;
    }
    if (APR_STATUS_IS_EAGAIN(status)) {
        BIO_set_retry_read(bio);
    } else {
        wire->status = status;
    }
    return -1;
}

static int wire_write(BIO *bio, const char *data, int size)
{
    wire_t *wire = BIO_get_data(bio);
    apr_size_t len = size > 0 ? (apr_size_t)size : 0;
    apr_status_t status = apr_socket_send(wire->socket, data, &len);

    BIO_clear_retry_flags(bio);
    if (status == APR_SUCCESS) {
        return (int)len;
    }
    if (APR_STATUS_IS_EAGAIN(status)) {
        BIO_set_retry_write(bio);
    } else {
        wire->status = status;
    }
    return -1;
}

static long wire_control(BIO *bio, int command, long number, void *pointer)
{
    const wire_t *wire = BIO_get_data(bio);

    (void)number;
    (void)pointer;
    switch (command) {
    case BIO_CTRL_FLUSH:
        return 1;
    case BIO_CTRL_EOF:
        return wire->ended;
    default:
        return 0;
    }
}

BIO_METHOD *rh_wire_method(void)
{
    BIO_METHOD *method = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "socket with a bound");

    if (method && BIO_meth_set_create(method, wire_create) == 1 &&
        BIO_meth_set_destroy(method, wire_destroy) == 1 &&
        BIO_meth_set_read(method, wire_read) == 1 && BIO_meth_set_write(method, wire_write) == 1 &&
        BIO_meth_set_ctrl(method, wire_control) == 1) {
        return method;
    }
    BIO_meth_free(method);
    return NULL;
}

BIO *rh_wire_open(const BIO_METHOD *method, apr_socket_t *socket)
{
    BIO *bio = BIO_new(method);

    if (bio) {
        wire_t *wire = BIO_get_data(bio);

        wire->socket = socket;
        rh_wire_begin(bio);
    }
    return bio;
}

void rh_wire_begin(BIO *bio)
{
    wire_t *wire = BIO_get_data(bio);

    wire->reads_left = CALL_MAX_READS;
    wire->bytes_left = CALL_MAX_BYTES;
    wire->status = APR_SUCCESS;
}

bool rh_wire_spent(BIO *bio)
{
    const wire_t *wire = BIO_get_data(bio);

    return wire->reads_left <= 0 || wire->bytes_left <= 0;
}

apr_status_t rh_wire_status(BIO *bio)
{
    const wire_t *wire = BIO_get_data(bio);

    return wire->status;
}
