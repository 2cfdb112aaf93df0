/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/**
 * @file mod_resthooks.h
 * @brief What mod_resthooks offers to other modules.
 */
#ifndef MOD_RESTHOOKS_H
#define MOD_RESTHOOKS_H

#include <apr_optional.h>
#include <httpd.h>

/**
 * Publish an event, as POST /events does: returns once it is stored.
 * @param r a request of the virtual host whose subscribers get the event; results live in r->pool
 * @param tenant 1-255 bytes of UTF-8
 * @param type an event type (`employee.created`)
 * @param data one JSON text of `len` bytes, delivered byte for byte
 * @param key the resource it is about, or NULL
 * @param client_id idempotency key, or NULL
 * @param id receives the event's id; may be NULL
 * @return APR_SUCCESS; APR_EINVAL for a bad argument; APR_EAGAIN when the database can't be
 * reached; APR_ENOTIMPL if RestHooks is Off
 */
APR_DECLARE_OPTIONAL_FN(apr_status_t, resthooks_publish,
                        (request_rec * r, const char *tenant, const char *type, const char *data,
                         apr_size_t len, const char *key, const char *client_id, const char **id));

#endif
