/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/**
 * @file rh_server.h
 * @brief The rooms of the server layer, as mod_resthooks.c hooks them up. Each registers its own
 * hooks.
 */
#ifndef RH_SERVER_H
#define RH_SERVER_H

#include "rh_config.h"

/** REST routing and resources: the handler "resthooks". */
void rh_api_register(apr_pool_t *pool);
/** Capture: fixups (before), insert_filter, insert_error_filter and the two filters. */
void rh_capture_register(apr_pool_t *pool);
/** Warnings at start about settings that can hardly be meant (rh_config_warn.c). */
void rh_config_register(apr_pool_t *pool);
/** The parent: check_config (the configuration as a whole), post_config (tables). */
void rh_parent_register(apr_pool_t *pool);
/** Life of a child process: child_init (engine), child_stopping. */
void rh_child_register(apr_pool_t *pool);
/** The key of RestHooksMaxHops: post_config (rh_hop.c). */
void rh_hop_register(apr_pool_t *pool);
/** The optional function of mod_resthooks.h. */
void rh_publish_register(apr_pool_t *pool);
/** The parent's look at children that end (rh_instruments.h). */
void rh_instruments_register(apr_pool_t *pool);
/** A block on mod_status's page, where that is loaded (rh_status.c). */
void rh_status_register(apr_pool_t *pool);
/** RestHooksLog: open_logs (rh_log_file.c). */
void rh_log_file_register(apr_pool_t *pool);

/** How long a request waits for its event's commit. */
#define RH_COMMIT_TIMEOUT apr_time_from_sec(5)

/**
 * Commit events of this request's virtual host and wait for it: API, capture and other modules
 * alike.
 * @return as rh_engine_commit; APR_EAGAIN too when this child has no engine (yet)
 */
apr_status_t rh_server_commit(request_rec *r, rh_commit_t *items, int count);
/** Wake the dispatcher of this request's virtual host. */
void rh_server_wake(request_rec *r);

/**
 * Count the deliveries that led to this request as hops of an event that it makes. With more than
 * RestHooksMaxHops the event becomes one that is recorded and not sent (rh_hop.c).
 */
void rh_server_count_hops(request_rec *r, rh_event_t *event);
/**
 * Check events against the schemas of their types. One that breaks its schema is replaced by a copy
 * in r->pool that has this as its reason (rh_type_schema.c).
 */
void rh_server_check_schemas(request_rec *r, rh_commit_t *items, int count);
/** True if the reason of an event is that it breaks its schema. */
bool rh_server_breaks_schema(const rh_event_t *event);

/** RH_HOP_KEY_BYTES that all children of this httpd share; NULL: there is none. */
const unsigned char *rh_hop_key(const server_rec *server);
/** Read the key of a database, in `pool`; NULL where that can't be done. */
const unsigned char *rh_hop_key_read(rh_store_t *store, apr_pool_t *pool);

/** The source of mod_dbd's pooled connections for a virtual host; thread-safe (rh_dbd.c).
 * @return NULL without mod_dbd, which check_config refuses */
rh_db_source_t *rh_dbd_source(apr_pool_t *pool, server_rec *server);
/**
 * Give libpq a default for connect_timeout, 5 s, by its environment variable: mod_dbd's connections
 * have none unless DBDParams says so. In the parent, while it has one thread.
 */
void rh_dbd_bound_connects(apr_pool_t *scratch);

/** True if another configuration ran before this one: failing now would take down what it serves.
 * In the parent. */
bool rh_server_is_restart(void);

/** An rh_log_t that writes to a server's error log as `resthooks:level`, "RHnnnn: text"
 * (rh_log_sink.c). */
void rh_log_sink(rh_log_t *log, server_rec *server);

#endif
