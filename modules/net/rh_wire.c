/* Licensed under the Apache License, Version 2.0: see LICENSE. */
#include "rh_wire.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <sys/socket.h>

/** A call's share. A record takes two reads and has at most 16 KiB and a little. */
#define MOST_READS 32
#define MOST_BYTES 32768

typedef struct wire_t {
    int descriptor;
    int reads_left, bytes_left;
    bool ended; /**< the other side sends nothing more */
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

static bool later(void)
{
    return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR;
}

static int wire_read(BIO *bio, char *buffer, int size)
{
    wire_t *wire = BIO_get_data(bio);
    int got;

    BIO_clear_retry_flags(bio);
    if (size <= 0) {
        return 0;
    }
    if (rh_wire_spent(bio)) {
        BIO_set_retry_read(bio);
        return -1;
    }
    size = size < wire->bytes_left ? size : wire->bytes_left;
    got = (int)recv(wire->descriptor, buffer, (size_t)size, 0);
    if (got > 0) {
        wire->reads_left--;
        wire->bytes_left -= got;
    } else if (got == 0) {
        wire->ended = true;
    } else if (later()) {
        BIO_set_retry_read(bio);
    }
    return got;
}

static int wire_write(BIO *bio, const char *data, int len)
{
    const wire_t *wire = BIO_get_data(bio);
    int sent = (int)send(wire->descriptor, data, (size_t)len, MSG_NOSIGNAL);

    BIO_clear_retry_flags(bio);
    if (sent < 0 && later()) {
        BIO_set_retry_write(bio);
    }
    return sent;
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

BIO *rh_wire_open(const BIO_METHOD *method, int descriptor)
{
    BIO *bio = BIO_new(method);

    if (bio) {
        wire_t *wire = BIO_get_data(bio);

        wire->descriptor = descriptor;
        rh_wire_begin(bio);
    }
    return bio;
}

void rh_wire_begin(BIO *bio)
{
    wire_t *wire = BIO_get_data(bio);

    wire->reads_left = MOST_READS;
    wire->bytes_left = MOST_BYTES;
}

bool rh_wire_spent(BIO *bio)
{
    const wire_t *wire = BIO_get_data(bio);

    return wire->reads_left <= 0 || wire->bytes_left <= 0;
}
