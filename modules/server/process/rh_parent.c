/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/* The parent process checks the whole configuration, and the tables before children need them. */
#include "rh_gate.h"
#include "rh_instruments.h"
#include "rh_privilege.h"
#include "rh_server.h"
#include "rh_spools.h"

#include "rh_hops.h"

#include <apr_hash.h>
#include <http_core.h>
#include <http_log.h>
#include <http_main.h>
#include <unixd.h>

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

APLOG_USE_MODULE(resthooks);

/** Mode of a database's files, and the permissions they must not have. */
#define OWNER_MODE 0600
#define OTHERS_MODE 0077

static int check_config(apr_pool_t *pconf, apr_pool_t *plog, apr_pool_t *ptemp, server_rec *server)
{
    const char *complaint = rh_server_config_finish(pconf, ptemp, server);

    (void)plog;
    if (complaint) {
        ap_log_error(APLOG_MARK, APLOG_ERR, 0, server, "RH0401: %s", complaint);
        return HTTP_INTERNAL_SERVER_ERROR;
    }
    return OK;
}

/**
 * Create a database file that does not exist yet, readable by its owner only, because it holds
 * every secret. The files beside it get the same mode.
 */
static void make_private(const char *path)
{
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, OWNER_MODE);

    if (fd >= 0) {
        close(fd);
    }
}

/**
 * Remove other users' permissions on a file of the database. Only touches regular files that belong
 * to this user, not through a link, and not if the file has a second name. Must be called before
 * the database opens the file, because closing it ends the locks of this process.
 */
static void make_private_again(const char *path, const rh_log_t *log)
{
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC);
    struct stat info;

    if (fd < 0) {
        return;
    }
    if (fstat(fd, &info) == 0 && S_ISREG(info.st_mode) && info.st_nlink == 1 &&
        info.st_uid == geteuid() && (info.st_mode & OTHERS_MODE)) {
        if (fchmod(fd, OWNER_MODE) == 0) {
            rh_log(log, RH_LOG_NOTICE, 0, "RH0712",
                   "DBDParams: %s had mode %04o and holds secrets; its mode is now %04o", path,
                   (unsigned int)info.st_mode & 07777, OWNER_MODE);
        } else {
            rh_log(log, RH_LOG_ERR, errno, "RH0713",
                   "DBDParams: %s holds secrets, and its mode %04o could not be made %04o", path,
                   (unsigned int)info.st_mode & 07777, OWNER_MODE);
        }
    }
    close(fd);
}

/**
 * Warn if the children cannot write a database file or its journal, and keep other users from
 * reading it.
 */
static void check_folder(const rh_server_config_t *config, apr_pool_t *scratch)
{
    const char *slash = strrchr(config->settings.db_params, '/');
    const char *folder = slash > config->settings.db_params
                             ? apr_pstrmemdup(scratch, config->settings.db_params,
                                              slash - config->settings.db_params)
                             : "/";

    if (faccessat(AT_FDCWD, folder, W_OK | X_OK, AT_EACCESS) != 0) {
        rh_log(&config->log, RH_LOG_ERR, errno, "RH0703",
               "DBDParams: httpd's user can't write to the folder %s, which %s needs", folder,
               config->dialect->product);
    } else if (faccessat(AT_FDCWD, config->settings.db_params, F_OK, AT_EACCESS) == 0 &&
               faccessat(AT_FDCWD, config->settings.db_params, R_OK | W_OK, AT_EACCESS) != 0) {
        rh_log(&config->log, RH_LOG_ERR, errno, "RH0704",
               "DBDParams: httpd's user can't write to the database file %s",
               config->settings.db_params);
    } else {
        make_private(config->settings.db_params);
        for (const char *const *suffix = config->dialect->file_suffixes; *suffix; suffix++) {
            make_private_again(apr_pstrcat(scratch, config->settings.db_params, *suffix, NULL),
                               &config->log);
        }
    }
}

/**
 * Create or upgrade the tables of one database. If it is down, httpd starts all the same, and the
 * children open the gate once it is back.
 * @param hop_key receives the database's, in `scratch`; NULL: it was unreachable
 * @return false if httpd must not start
 */
static bool prepare_tables(const rh_server_config_t *config, const char *name, apr_pool_t *scratch,
                           const unsigned char **hop_key)
{
    rh_db_source_t *source;
    const char *problem = "no reason given";
    apr_status_t status = rh_db_source_dedicated(scratch, config->settings.db_driver,
                                                 config->settings.db_params, &config->log, &source);

    if (config->dialect->file_suffixes) {
        check_folder(config, scratch);
    }
    if (status == APR_SUCCESS) {
        rh_db_source_set_init(source, config->settings.db_init);
        status = rh_gate_open(config->gate, source, scratch, &problem);
    }
    if (status == APR_SUCCESS) {
        *hop_key = rh_hop_key_read(rh_store_make(scratch, source), scratch);
        return true;
    }
    if (!APR_STATUS_IS_EMISMATCH(status)) {
        rh_log(&config->log, RH_LOG_ERR, status, "RH0705",
               "the database of %s can't be used yet, events wait for it: %s", name, problem);
        return true;
    }
    if (rh_server_is_restart()) {
        /* Failing here would take down the running server and all its other sites. */
        rh_log(&config->log, RH_LOG_CRIT, APR_SUCCESS, "RH0706",
               "the database of %s does not fit this mod_resthooks, events go to the spool and "
               "nothing "
               "is delivered: %s",
               name, problem);
        return true;
    }
    rh_log(&config->log, RH_LOG_CRIT, APR_SUCCESS, "RH0707",
           "the database of %s does not fit this mod_resthooks, httpd does not start: %s", name,
           problem);
    return false;
}

/** Make one gate per database, with the log of the first server that uses it. */
static bool make_gates(apr_pool_t *pconf, apr_pool_t *scratch, server_rec *server)
{
    apr_hash_t *gates = apr_hash_make(scratch);
    bool start = true;

    for (; server && start; server = server->next) {
        rh_server_config_t *config = rh_server_config(server);
        const char *name = rh_server_name(pconf, server), *database;
        const unsigned char *key = NULL;
        const rh_server_config_t *first;
        apr_pool_t *own;

        if (!config->settings.enabled) {
            continue;
        }
        database =
            apr_pstrcat(scratch, config->settings.db_driver, " ", config->settings.db_params, NULL);
        first = apr_hash_get(gates, database, APR_HASH_KEY_STRING);
        if (first) {
            config->gate = first->gate;
            config->hop_key = first->hop_key;
        } else {
            config->gate =
                rh_gate_make(pconf, config->settings.schema_auto != 0, name, &config->log);
            apr_hash_set(gates, database, APR_HASH_KEY_STRING, config);
            apr_pool_create(&own, scratch);
            start = prepare_tables(config, name, own, &key);
            config->hop_key = key ? apr_pmemdup(pconf, key, RH_HOP_KEY_BYTES) : NULL;
            /* No connection may be open across the fork. */
            apr_pool_destroy(own);
        }
    }
    return start;
}

static int post_config(apr_pool_t *pconf, apr_pool_t *plog, apr_pool_t *ptemp, server_rec *server)
{
    const rh_log_t *log = &rh_server_config(server)->log;
    rh_identity_t before;
    apr_status_t status;
    bool start;

    (void)plog;
    if (ap_state_query(AP_SQ_MAIN_STATE) == AP_SQ_MS_CREATE_PRE_CONFIG || !rh_any_enabled(server)) {
        return OK;
    }
    status = rh_client_global_init(pconf);
    if (status != APR_SUCCESS) {
        rh_log(log, RH_LOG_CRIT, status, "RH0701", "cannot initialise the DNS resolver (c-ares)");
        return HTTP_INTERNAL_SERVER_ERROR;
    }
    rh_instruments_make(pconf, server);
    rh_dbd_bound_connects(ptemp);
    if (!rh_spools_prepare(pconf, ptemp, server)) {
        return HTTP_INTERNAL_SERVER_ERROR;
    }
    status = rh_privilege_drop(&before);
    if (status != APR_SUCCESS) {
        rh_log(log, RH_LOG_CRIT, status, "RH0702", "cannot switch to httpd's User and Group");
        return HTTP_INTERNAL_SERVER_ERROR;
    }
    start = make_gates(pconf, ptemp, server);
    status = rh_privilege_restore(&before);
    if (status != APR_SUCCESS) {
        rh_log(log, RH_LOG_CRIT, status, "RH0708",
               "cannot restore root privileges after schema set-up");
        return HTTP_INTERNAL_SERVER_ERROR;
    }
    return start ? OK : HTTP_INTERNAL_SERVER_ERROR;
}

void rh_parent_register(apr_pool_t *pool)
{
    (void)pool;
    ap_hook_check_config(check_config, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_post_config(post_config, NULL, NULL, APR_HOOK_MIDDLE);
}
