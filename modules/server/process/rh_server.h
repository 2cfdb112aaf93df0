/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/**
 * @file rh_server.h
 * @brief The parts of the server layer, as mod_resthooks.c registers them. Each registers its own
 * hooks.
 */
#ifndef RH_SERVER_H
#define RH_SERVER_H

#include "rh_config.h"

#include <http_core.h>

/** REST routing and resources: the handler "resthooks". */
void rh_api_register(apr_pool_t *pool);
/** Capture: fixups (before), insert_filter, insert_error_filter and the two filters. */
void rh_capture_register(apr_pool_t *pool);
/** Warnings at start about settings that are probably mistakes (rh_config_warn.c). */
void rh_config_register(apr_pool_t *pool);
/** The parent: check_config (the whole configuration), post_config (tables). */
void rh_parent_register(apr_pool_t *pool);
/** Life of a child process: child_init (engine), child_stopping. */
void rh_child_register(apr_pool_t *pool);
/** The key of RestHooksMaxHops: post_config (rh_hop.c). */
void rh_hop_register(apr_pool_t *pool);
/** The optional function of mod_resthooks.h. */
void rh_publish_register(apr_pool_t *pool);
/** Frees a child's gauges, in the parent, when it ends (rh_instruments.h). */
void rh_instruments_register(apr_pool_t *pool);
/** A part of mod_status's page, if that module is loaded (rh_status.c). */
void rh_status_register(apr_pool_t *pool);
/** RestHooksLog: open_logs (rh_log_file.c). */
void rh_log_file_register(apr_pool_t *pool);

/** How long a request waits for its events' commit. */
#define RH_COMMIT_TIMEOUT apr_time_from_sec(5)

/**
 * Commit events of this request's virtual host and wait for the result: API, capture and other
 * modules alike.
 * @return like rh_engine_commit; also APR_EAGAIN if no engine runs in this child
 */
apr_status_t rh_server_commit(request_rec *r, rh_commit_t *items, int count);
/** Wake the dispatcher of this request's virtual host. */
void rh_server_wake(request_rec *r);

/**
 * Record how many deliveries led to this request as the hops of an event that it makes. Beyond
 * RestHooksMaxHops the event is only recorded and not sent (rh_hop.c).
 */
void rh_server_count_hops(request_rec *r, rh_event_t *event);
/**
 * Check events against the schemas of their types. An event that breaks its schema is replaced by a
 * copy in r->pool that has the breach as its reason (rh_type_schema.c).
 */
void rh_server_check_schemas(request_rec *r, rh_commit_t *items, int count);
/** True if an event's reason is that it breaks its schema. */
bool rh_server_breaks_schema(const rh_event_t *event);

/** Return the RH_HOP_KEY_BYTES that all children of this httpd share; NULL: there are none. */
const unsigned char *rh_hop_key(const server_rec *server);
/** Read the key of a database, in `pool`; NULL: it could not be read. */
const unsigned char *rh_hop_key_read(rh_store_t *store, apr_pool_t *pool);

/**
 * Return the source of mod_dbd's pooled connections for a virtual host; thread-safe (rh_dbd.c).
 * @return NULL without mod_dbd, which check_config refuses
 */
rh_db_source_t *rh_dbd_source(apr_pool_t *pool, server_rec *server);
/**
 * Set libpq's default for connect_timeout to 5 s by its environment variable: mod_dbd's connections
 * have none unless DBDParams sets it. In the parent, while it has one thread.
 */
void rh_dbd_bound_connects(apr_pool_t *scratch);

/**
 * True if another configuration is running: failing now would take down what it serves. In the
 * parent.
 */
static inline bool rh_server_is_restart(void)
{
    return ap_state_query(AP_SQ_CONFIG_GEN) > 1;
}

#endif
