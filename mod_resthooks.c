/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/* The module record, and the list of parts, each of which registers its own hooks. */
#include "mod_resthooks.h"

#include "rh_server.h"

#include <http_config.h>

static void register_hooks(apr_pool_t *pool)
{
    rh_config_register(pool);
    rh_parent_register(pool);
    rh_instruments_register(pool);
    rh_log_file_register(pool);
    rh_status_register(pool);
    rh_child_register(pool);
    rh_hop_register(pool);
    rh_publish_register(pool);
    rh_capture_register(pool);
    rh_api_register(pool);
}

AP_DECLARE_MODULE(resthooks) = {
    STANDARD20_MODULE_STUFF, rh_dir_config_make, rh_dir_config_merge, rh_server_config_make,
    rh_server_config_merge,  rh_directives,      register_hooks,
#if defined(AP_MODULE_FLAG_NONE)
    AP_MODULE_FLAG_NONE,
#endif
};
