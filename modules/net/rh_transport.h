/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/**
 * @file rh_transport.h
 * @brief Port: what the engine needs from the network. Tests supply a scripted one.
 *
 * One transport serves one event-loop thread: all calls except wakeup come from that thread, and
 * so do the callbacks, from inside poll. Only poll blocks.
 */
#ifndef RH_TRANSPORT_H
#define RH_TRANSPORT_H

#include "rh_base.h"

/** How an exchange ended. */
typedef enum {
    RH_EXCHANGE_OK, /**< a final status line and headers were read */
    RH_EXCHANGE_BAD_URL,
    RH_EXCHANGE_RESOLVE,
    RH_EXCHANGE_REFUSED_ADDRESS, /**< by the egress policy */
    RH_EXCHANGE_CONNECT,
    RH_EXCHANGE_TLS,
    RH_EXCHANGE_SEND,
    RH_EXCHANGE_PROTOCOL, /**< not HTTP/1.x, conflicting lengths, headers over the cap */
    RH_EXCHANGE_RESET,    /**< closed before the response was complete */
    RH_EXCHANGE_TIMEOUT,
    RH_EXCHANGE_CANCELLED /**< by cancel_all */
} rh_exchange_result_t;

/** Size of "[address]:port", NUL included. */
#define RH_EXCHANGE_ADDRESS_BYTES 56

/** Durations of the parts of an exchange, in microseconds; -1: it did not have that part. */
typedef struct rh_exchange_times_t {
    apr_interval_time_t resolve;    /**< finding the addresses of the name */
    apr_interval_time_t connect;    /**< from then until the connection is established */
    apr_interval_time_t tls;        /**< the handshake */
    apr_interval_time_t first_byte; /**< from sending the request to the first byte of a response */
} rh_exchange_times_t;

/** The egress policy, proxy, TLS of one virtual host; opaque here. See rh_client.h. */
struct rh_net_config_t;

/** One request to make. Everything must stay valid until `done` is called. */
typedef struct rh_exchange_t {
    apr_pool_t *pool;   /**< pool of this exchange and its response */
    const char *method; /**< NULL: POST. Not HEAD, as a body would be expected */
    const char *url;
    apr_table_t *headers; /**< without Host, Content-Length, Connection */
    rh_bytes_t body;
    apr_interval_time_t timeout;         /**< limit for the whole exchange */
    apr_interval_time_t connect_timeout; /**< limit until the connection (and TLS) is established */
    const struct rh_net_config_t *net;   /**< of the virtual host */
    apr_size_t
        most_answer; /**< maximum number of bytes of the response that are kept; 0: RH_MAX_ANSWER */
    const char *reuse_key; /**< connections are reused within one key only: the subscription's
                                id, so that no client certificate or tenant is shared */

    /* Filled in before `done`. */
    rh_exchange_result_t result;
    const char *error; /**< NULL on OK, else a readable reason: "TLS: certificate has expired" */
    int status_code;   /**< 0: none */
    apr_table_t *answer_headers; /**< NULL: none */
    rh_bytes_t answer;           /**< at most `most_answer` bytes, decoded from chunks */
    apr_time_t started_at;
    apr_time_t sent_first_byte_at; /**< 0: never sent */
    apr_interval_time_t duration;
    /** The address connected to or tried last: "192.0.2.1:443". "": none, or the proxy chose it. */
    char address[RH_EXCHANGE_ADDRESS_BYTES];
    rh_exchange_times_t times;

    /** Called once, from poll, never from send. It may destroy the exchange. */
    void (*done)(struct rh_exchange_t *exchange, void *baton);
    void *baton;
} rh_exchange_t;

typedef struct rh_transport_t rh_transport_t;

/** The table of functions of a transport. */
struct rh_transport_t {
    /** Begin an exchange. Every failure, even a bad URL, is reported through `done`. */
    void (*send)(rh_transport_t *self, rh_exchange_t *exchange);
    /** Wait at most `timeout` microseconds for events, and handle them. */
    apr_status_t (*poll)(rh_transport_t *self, apr_interval_time_t timeout);
    /** Make the current or the next poll return at once. May be called from any thread. */
    void (*wakeup)(rh_transport_t *self);
    /** End all exchanges as RH_EXCHANGE_CANCELLED; calls `done` of each before it returns. */
    void (*cancel_all)(rh_transport_t *self);
};

#endif
