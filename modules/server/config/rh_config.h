/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/**
 * @file rh_config.h
 * @brief Directives, their defaults and how server, virtual host and directory merge.
 */
#ifndef RH_CONFIG_H
#define RH_CONFIG_H

#include "rh_engine.h"
#include "rh_store_open.h"

#include <ap_expr.h>
#include <ap_regex.h>
#include <http_config.h>
#include <httpd.h>

extern module AP_MODULE_DECLARE_DATA resthooks_module;

/** Where the data of a captured event comes from. */
typedef enum { RH_DATA_RESPONSE, RH_DATA_REQUEST, RH_DATA_BEFORE, RH_DATA_AFTER } rh_data_source_t;

/** One status or class of a rule: 201 is {201,201}, 2xx is {200,299}. */
typedef struct rh_status_range_t {
    int first, last;
} rh_status_range_t;

/** RestHooksEvent. */
typedef struct rh_rule_t {
    const char *type;
    apr_array_header_t *methods; /**< of const char *, upper case; extension methods allowed */
    const char *pattern;         /**< the regex as written, for the log */
    ap_regex_t *regex;
    apr_array_header_t *names; /**< named groups, of const char *: "MATCH_TENANT" at its index; NULL
                                  where unnamed */
    apr_array_header_t *statuses; /**< of rh_status_range_t; default 2xx */
    rh_data_source_t data;
    bool observe;           /**< records and counts what it finds, and sends nothing */
    ap_expr_info_t *tenant; /**< NULL: the group, else RestHooksTenant */
    ap_expr_info_t *when;   /**< NULL: always */
} rh_rule_t;

/** RestHooksEventType, and the types of rules: the catalogue of GET /event-types. */
typedef struct rh_catalogue_type_t {
    const char *type;
    const char *description; /**< "" for one that only a rule names */
    const char *sample;      /**< one JSON text, from the sample file; NULL: none */
    apr_size_t sample_len;
    const char *schema; /**< JSON Schema of its data: an object, true or false; NULL: none */
    apr_size_t schema_len;
    bool captured; /**< a rule of this host makes it */
} rh_catalogue_type_t;

/** Whether a database has the tables that this build needs (rh_gate.h). */
struct rh_gate_t;
/** What runs in one child process (rh_child.c). */
struct rh_child_t;

/** The value of a number that no directive has set; rh_server_config_finish gives the default. */
#define RH_UNSET (-2)

/** What directives say about a server or virtual host: parsed, merged, defaults filled in. */
typedef struct rh_settings_t {
    int enabled;
    apr_array_header_t *rules; /**< of rh_rule_t *; a vhost's own come before the server's */
    apr_array_header_t *types; /**< of rh_catalogue_type_t *, sorted by type once finished */
    apr_array_header_t *retry; /**< of apr_interval_time_t; NULL: not set */
    apr_array_header_t *gone;  /**< of int; NULL: not set */
    apr_interval_time_t timeout, connect_timeout, disable_after, retention; /**< RH_UNSET */
    apr_int64_t max_data;
    int concurrency, endpoint_concurrency, threads;
    int max_subscriptions; /**< maximum number of subscriptions per tenant */
    int tenant_requests;   /**< maximum number of concurrent API calls per tenant and child */
    int host_concurrency;  /**< maximum number of attempts in flight to one host and port */
    int max_hops;          /**< how often an event may result from a delivery; 0: never */
    int https_only;
    apr_array_header_t *allow, *deny; /**< of const char *, checked when read; a vhost's own come
                                           after the server's */
    const char *egress_proxy; /**< "http://host:port"; NULL: none, nor have the next four a value */
    apr_array_header_t *egress_except; /**< of const char *: hosts, addresses, CIDR blocks (syntax
                                          of rh_egress_add) that are reached without the proxy; NULL
                                            or empty: none */
    const char *egress_auth_file;      /**< where egress_auth was read from; NULL: no login */
    const char *egress_auth;           /**< "user:password" for the proxy; NULL: no login */
    bool egress_resolve_proxy;         /**< the proxy resolves names and judges addresses */
    const char *tls_ca_file, *tls_certificate, *tls_key;
    const char *spool;
    const char *log_name, *log_format; /**< RestHooksLog: "|program", an absolute path or "none";
                                            NULL: not set */
    const char *page;                  /**< folder of the page's files; "": RestHooksPage Off */
    int schema_auto;
    const char *db_driver,
        *db_params; /**< heard in passing: DBDriver and DBDParams are mod_dbd's */
} rh_settings_t;

/** Per server: its settings, and what lives at run time. */
typedef struct rh_server_config_t {
    rh_settings_t settings;

    /* Made by rh_server_config_finish for an enabled server. */
    rh_net_config_t net;
    rh_retry_policy_t retry_policy;
    rh_dialect_t dialect;
    rh_attempt_log_t *attempt_log; /**< RestHooksLog once it is open; NULL: there is none */
    rh_log_t log;                  /**< writes to this server's error log; for every server */

    /* Made in post_config (rh_parent.c, rh_spools.c): shared by the servers of one database. */
    struct rh_spool_owner_t *spool_owner; /**< NULL: RestHooks is Off here */
    struct rh_gate_t *gate;
    const rh_metrics_t *metrics; /**< of this host (rh_instruments.h); NULL: nothing is counted */

    /* Made in child_init (rh_child.c). */
    rh_store_t *store;   /**< NULL: RestHooks is Off here */
    rh_site_t *site;     /**< may be another server's, where all its settings are the same */
    rh_engine_t *engine; /**< NULL: there is none (yet, or any more); read it once, atomically */
    struct rh_child_t *child;
} rh_server_config_t;

/** Kinds of Require, of which a section may have several. */
enum {
    RH_REQUIRE_NOTHING = 1, /**< all granted */
    RH_REQUIRE_REQUEST = 2, /**< something of the request: an address, an expression */
    RH_REQUIRE_USER = 4     /**< a login, so that AuthType is needed */
};

/** Per directory, and per server where no directory says otherwise. */
typedef struct rh_dir_config_t {
    bool handler_set; /**< SetHandler was seen: the next two say what came of it */
    const char *base; /**< path of the enclosing Location that set the handler, without a trailing
                           slash; NULL: another handler, or base_regex is it */
    ap_regex_t *base_regex; /**< of a LocationMatch (or Location ~): the match is the base */
    int requires; /**< of RH_REQUIRE_: what the nearest section with a Require asks for; 0: none */
    const char *misspelt;    /**< a SetHandler that is nearly this module's; NULL: none */
    const char *tenant_text; /**< of tenant, as written */
    bool auth_type;          /**< AuthType is set here */
    ap_expr_info_t *tenant, *publisher, *admin; /**< NULL: not set */
    int expose_event_id;                        /**< RH_UNSET: not set, which is off */
} rh_dir_config_t;

/** The table for the module record. */
extern const command_rec rh_directives[];

void *rh_server_config_make(apr_pool_t *pool, server_rec *server);
void *rh_server_config_merge(apr_pool_t *pool, void *base, void *add);
void *rh_dir_config_make(apr_pool_t *pool, char *path);
void *rh_dir_config_merge(apr_pool_t *pool, void *base, void *add);

/**
 * Defaults, catalogue, policies, TLS contexts of every server from `server` on; checks that need
 * the whole configuration (mod_dbd there, a driver set, readable files, a sane pair of time-outs).
 * Called once, by check_config, which runs under `httpd -t` too and before post_config.
 * @return NULL or the complaint, naming the directive and the virtual host
 */
const char *rh_server_config_finish(apr_pool_t *pool, apr_pool_t *scratch, server_rec *server);

/** True if deliveries of both are made in the same way, so that one site serves both. */
bool rh_server_config_same_site(const rh_server_config_t *a, const rh_server_config_t *b);

rh_server_config_t *rh_server_config(server_rec *server);
/** Whether RestHooks is On for `server` or one behind it; once they are finished. */
bool rh_any_enabled(server_rec *server);
rh_dir_config_t *rh_dir_config(request_rec *r);

/** "host:port" of a server, for messages. */
const char *rh_server_name(apr_pool_t *pool, const server_rec *server);

/**
 * The tenant by RestHooksTenant of the request's place (%{REMOTE_USER} by default).
 * @return NULL when the expression is empty, fails (logged) or gives an invalid name (logged)
 */
const char *rh_request_tenant(request_rec *r);
/** The request's traceparent (W3C Trace Context), NULL where it has none or an invalid one. */
const char *rh_request_traceparent(request_rec *r);
/** RestHooksPublisher and RestHooksAdmin of the request's place; false by default and on errors. */
bool rh_request_is_publisher(request_rec *r);
bool rh_request_is_admin(request_rec *r);
/**
 * True if the request's configuration, as far as it is merged, says by itself who has access: with
 * a Require, and an AuthType where that needs one.
 */
bool rh_request_is_protected(request_rec *r);
/**
 * The base path of the API for this request, without a trailing slash, so "" for the root. r->uri
 * begins with it, and goes on with a slash or not at all.
 * @return NULL where no Location set the handler, or the path is not below it
 */
const char *rh_request_base(request_rec *r);

/**
 * The arguments of RestHooksEvent (rh_config_parse.c).
 * @return NULL, or the complaint
 */
const char *rh_rule_parse(cmd_parms *cmd, const char *args, rh_rule_t **rule);

/** A complaint that names the directive. */
const char *rh_complaint(cmd_parms *cmd, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/**
 * Flags of every expression. Without DONT_VARY, evaluating one for a proxied request would add a
 * Vary to an answer that the client must see as the backend sent it.
 */
#define RH_EXPR_TEXT (AP_EXPR_FLAG_STRING_RESULT | AP_EXPR_FLAG_DONT_VARY)
#define RH_EXPR_CONDITION AP_EXPR_FLAG_DONT_VARY

#endif
