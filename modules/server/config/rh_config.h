/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/**
 * @file rh_config.h
 * @brief The configuration records of servers and directories, and what requests read from them.
 *
 * The directives that fill them are rows of rh_settings.h.
 */
#ifndef RH_CONFIG_H
#define RH_CONFIG_H

#include "rh_client.h"
#include "rh_engine.h"
#include "rh_json_schema.h"
#include "rh_rule.h"
#include "rh_store_open.h"

#include <http_config.h>
#include <httpd.h>

extern module AP_MODULE_DECLARE_DATA resthooks_module;

/** One entry of the catalogue (GET /event-types): from RestHooksEventType, or the type of a rule.
 */
typedef struct rh_catalogue_type_t {
    const char *type;
    const char *description; /**< "" for a type that only a rule names */
    const char *sample;      /**< one JSON text, from the sample file; NULL: none */
    apr_size_t sample_len;
    const char *schema; /**< JSON Schema of its data: an object, true or false; NULL: none */
    apr_size_t schema_len;
    rh_json_schema_t *rules; /**< the schema, compiled; NULL: none */
    bool captured;           /**< a rule of this host produces it */
} rh_catalogue_type_t;

/** Guards a database until it has the tables that this build needs (rh_gate.h). */
struct rh_gate_t;
/** The engine and the sites of one child process (rh_child.c). */
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
    const char *egress_proxy; /**< "http://host:port"; NULL: none, and the next four are not set */
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
    const char *page;                  /**< directory of the page's files; "": RestHooksPage Off */
    int schema_auto;
    const char *db_driver,
        *db_params;              /**< overheard: DBDriver and DBDParams are directives of mod_dbd */
    apr_array_header_t *db_init; /**< overheard, too: DBDInitSQL, of const char *; NULL: none */
} rh_settings_t;

/** The settings of a server, and its state at run time. */
typedef struct rh_server_config_t {
    rh_settings_t settings;

    /* Made by rh_server_config_finish for an enabled server. */
    rh_net_config_t net;
    rh_retry_policy_t retry_policy;
    const rh_dialect_t *dialect;
    rh_attempt_log_t *attempt_log; /**< RestHooksLog once it is open; NULL: there is none */
    rh_log_t log;                  /**< writes to this server's error log; for every server */

    /* Made in post_config (rh_parent.c, rh_spools.c): shared by the servers of one database. */
    struct rh_spool_owner_t *spool_owner; /**< NULL: RestHooks is Off here */
    struct rh_gate_t *gate;
    const unsigned char *hop_key; /**< the database's (rh_hop.c); NULL: it was not reached */
    const rh_metrics_t *metrics;  /**< of this host (rh_instruments.h); NULL: nothing is counted */

    /* Made in child_init (rh_child.c). */
    rh_store_t *store;   /**< NULL: RestHooks is Off here */
    rh_site_t *site;     /**< may be another server's, if all settings of deliveries are equal */
    rh_engine_t *engine; /**< NULL: not started, or stopped; read it once, atomically */
    struct rh_child_t *child;
    int hops_warned; /**< atomic: it was logged that RestHooksMaxHops was exceeded */
} rh_server_config_t;

/** Kinds of Require, of which a section may have several. */
enum {
    RH_REQUIRE_NOTHING = 1, /**< all granted */
    RH_REQUIRE_REQUEST = 2, /**< a property of the request: an address, an expression */
    RH_REQUIRE_USER = 4     /**< a login, so that AuthType is needed */
};

/** Per directory, and per server where no directory says otherwise. */
typedef struct rh_dir_config_t {
    bool handler_set; /**< SetHandler was read; the next two are its result */
    const char *base; /**< path of the enclosing Location that set the handler, without a trailing
                           slash; NULL: another handler, or base_regex is it */
    ap_regex_t *base_regex; /**< of a LocationMatch (or Location ~): the match is the base */
    int requires; /**< of RH_REQUIRE_: what the nearest section with a Require asks for; 0: none */
    const char *misspelt;    /**< a SetHandler that resembles this module's; NULL: none */
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
 * Complete every server from `server` on: defaults, catalogue, egress policy, TLS context; and
 * make the checks that need the whole configuration (mod_dbd loaded, a driver set, files readable,
 * time-outs consistent). Called once, by check_config, before post_config and under `httpd -t` too.
 * @return NULL, or the complaint, which names the directive and the virtual host
 */
const char *rh_server_config_finish(apr_pool_t *pool, apr_pool_t *scratch, server_rec *server);

/** True if both make deliveries in the same way, so that one site can serve both. */
bool rh_server_config_same_site(const rh_server_config_t *a, const rh_server_config_t *b);

/** Find the position of a type in the catalogue, settings.types; -1: it is not there. */
int rh_catalogue_find(const rh_server_config_t *config, const char *type);

static inline rh_server_config_t *rh_server_config(server_rec *server)
{
    return ap_get_module_config(server->module_config, &resthooks_module);
}
/** True if any server in the list, from `server` on, has RestHooks On. Valid after
 * rh_server_config_finish. */
bool rh_any_enabled(server_rec *server);
rh_dir_config_t *rh_dir_config(request_rec *r);

/** Return "host:port" of a server, for messages. */
const char *rh_server_name(apr_pool_t *pool, const server_rec *server);

/**
 * Evaluate RestHooksTenant for a request (%{REMOTE_USER} by default).
 * @return NULL if the result is empty, the evaluation failed (logged), or the name is invalid
 * (logged)
 */
const char *rh_request_tenant(request_rec *r);
/** Return the request's traceparent (W3C Trace Context); NULL if it is missing or invalid. */
const char *rh_request_traceparent(request_rec *r);
/** Evaluate RestHooksPublisher and RestHooksAdmin for a request; false by default and on errors. */
bool rh_request_is_publisher(request_rec *r);
bool rh_request_is_admin(request_rec *r);
/**
 * True if the configuration of the request, as far as it is merged, decides by itself who has
 * access: it has a Require, and an AuthType where that needs one.
 */
bool rh_request_is_protected(request_rec *r);
/**
 * Return the base path of the API for this request, without a trailing slash, so "" for the root.
 * r->uri equals it or continues with a slash.
 * @return NULL if no Location set the handler, or the path is not below it
 */
const char *rh_request_base(request_rec *r);

/**
 * Parse the arguments of RestHooksEvent (rh_rule_parse.c).
 * @return NULL, or the complaint
 */
const char *rh_rule_parse(cmd_parms *cmd, const char *args, rh_rule_t **rule);

/** Format a complaint, prefixed with the name of the directive. */
const char *rh_complaint(cmd_parms *cmd, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/**
 * Flags of all expressions. Without DONT_VARY, evaluating one for a proxied request would add a
 * Vary to a response that the client must see as the backend sent it.
 */
#define RH_EXPR_TEXT (AP_EXPR_FLAG_STRING_RESULT | AP_EXPR_FLAG_DONT_VARY)
#define RH_EXPR_CONDITION AP_EXPR_FLAG_DONT_VARY

#endif
