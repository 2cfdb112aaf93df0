/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/*
 * Another module, for t/24-publish-function.t: the handler "publisher" calls resthooks_publish with
 * values from header fields, and responds with the status' name and the id.
 */
#include "mod_resthooks.h"

#include <http_config.h>
#include <http_protocol.h>

#include <string.h>

static APR_OPTIONAL_FN_TYPE(resthooks_publish) * publish;

static const char *name_of(apr_status_t status)
{
    return status == APR_SUCCESS    ? "success"
           : status == APR_EINVAL   ? "invalid"
           : status == APR_EAGAIN   ? "again"
           : status == APR_ENOTIMPL ? "off"
                                    : "other";
}

static int answer(request_rec *r)
{
    const char *id = NULL, *data, *status = "missing";

    if (!r->handler || strcmp(r->handler, "publisher") != 0) {
        return DECLINED;
    }
    data = apr_table_get(r->headers_in, "X-Data");
    if (publish) {
        status = name_of(publish(r, apr_table_get(r->headers_in, "X-Tenant"),
                                 apr_table_get(r->headers_in, "X-Type"), data,
                                 data ? strlen(data) : 0, apr_table_get(r->headers_in, "X-Key"),
                                 apr_table_get(r->headers_in, "X-Id"),
                                 apr_table_get(r->headers_in, "X-Silent") ? NULL : &id));
    }
    ap_set_content_type(r, "text/plain");
    ap_rprintf(r, "%s %s", status, id ? id : "-");
    return OK;
}

static void retrieve(void)
{
    publish = APR_RETRIEVE_OPTIONAL_FN(resthooks_publish);
}

static void register_hooks(apr_pool_t *pool)
{
    (void)pool;
    ap_hook_optional_fn_retrieve(retrieve, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_handler(answer, NULL, NULL, APR_HOOK_MIDDLE);
}

module AP_MODULE_DECLARE_DATA publisher_module = {
    STANDARD20_MODULE_STUFF, NULL, NULL, NULL, NULL, NULL, register_hooks,
#if defined(AP_MODULE_FLAG_NONE)
    AP_MODULE_FLAG_NONE,
#endif
};
