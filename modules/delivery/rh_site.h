/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/**
 * @file rh_site.h
 * @brief What the engine needs to know of virtual hosts that deliver in the same way.
 */
#ifndef RH_SITE_H
#define RH_SITE_H

#include "rh_attempt_log.h"
#include "rh_metrics.h"
#include "rh_retry.h"
#include "rh_store.h"

/** What the engine needs of one virtual host. Everything outlives the engine. */
typedef struct rh_site_t {
    const char *name; /**< name for the log */
    const rh_log_t *log;
    rh_queue_t *intake_queue;     /**< used only by the writer's thread */
    rh_queue_t *helper_queue;     /**< used by a second writer, for high volumes; NULL: there is
                                       none */
    rh_queue_t *dispatch_queue;   /**< used only by the dispatcher's thread */
    const unsigned char *hop_key; /**< RH_HOP_KEY_BYTES of rh_hops.h; NULL: hops are not sent */
    const struct rh_net_config_t *net; /**< passed on to the transport */
    rh_retry_policy_t retry;
    apr_interval_time_t timeout;                /**< RestHooksTimeout */
    apr_interval_time_t connect_timeout;        /**< RestHooksConnectTimeout */
    int endpoint_concurrency;                   /**< RestHooksEndpointConcurrency */
    int host_concurrency;                       /**< RestHooksHostConcurrency; 0: no limit */
    apr_interval_time_t retention;              /**< RestHooksRetention */
    const char *spool;                          /**< RestHooksSpool; NULL: none */
    const struct rh_spool_owner_t *spool_owner; /**< names its files; NULL without a spool */
    const rh_metrics_t *metrics;                /**< NULL: nothing is counted */
    bool record_sent;               /**< the store keeps what was sent (rh_attempt_t.sent) */
    rh_attempt_log_t *log_attempts; /**< RestHooksLog; NULL: none */
} rh_site_t;

#endif
