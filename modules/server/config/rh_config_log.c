/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/* Passes messages of the lower layers on to a server's error log. */
#include "rh_config_private.h"

#include <http_log.h>

APLOG_USE_MODULE(resthooks);

static void write_line(void *baton, rh_log_level_t level, apr_status_t status, const char *tag,
                       const char *message)
{
    const server_rec *server = baton;

    ap_log_error(APLOG_MARK, (int)level, status, server, "%s: %s", tag, message);
}

void rh_log_sink(rh_log_t *log, server_rec *server)
{
    int level = ap_get_server_module_loglevel(server, APLOG_MODULE_INDEX);

    log->write = write_line;
    log->baton = server;
    log->level = level > RH_LOG_DEBUG ? RH_LOG_DEBUG : (rh_log_level_t)level;
}
