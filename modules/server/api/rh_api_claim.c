/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/*
 * Requests below the handler's Location belong to the API, regardless of files below DocumentRoot
 * and their .htaccess.
 *
 *   translate_name   recognise the request by its Location, keep ProxyPass away
 *   map_to_storage   skip the directory walk, so that no .htaccess applies; this also saves its
 *                    system calls. Only where the Location has a Require of its own: httpd then
 *                    ignores those of directories anyway. Otherwise a directory may protect the
 *                    API, and is walked
 *   fixups           if it was walked, undo what per-directory rules changed in the request
 *
 * Location sections are merged after map_to_storage as for every request, and all hooks that check
 * access run.
 */
#include "rh_api.h"

#include <http_request.h>

/** Name of the note that marks a request of the API; its value is one of the next two. */
#define CLAIM_NOTE "resthooks-claim"
#define CLAIM_NO_WALK "no-walk"
#define CLAIM_WALK "walk"

static const char *claim_of(const request_rec *r)
{
    return apr_table_get(r->notes, CLAIM_NOTE);
}

/**
 * Recognise a request of the API. Requests that ProxyPass maps go to the backend, whatever
 * SetHandler says, except for a Location of the API below such a prefix. A host whose root is the
 * API still proxies what it maps.
 */
static int claim_request(request_rec *r)
{
    const char *base =
        rh_server_config(r->server)->settings.enabled == 1 ? rh_request_base(r) : NULL;

    if (base && *base) {
        apr_table_setn(r->subprocess_env, "no-proxy", "1");
        apr_table_setn(r->notes, CLAIM_NOTE,
                       rh_request_is_protected(r) ? CLAIM_NO_WALK : CLAIM_WALK);
    }
    return DECLINED;
}

/** Skip the directory walk, because r->filename is not a file. */
static int skip_storage(request_rec *r)
{
    const char *claim = claim_of(r);

    if (!claim || strcmp(claim, CLAIM_NO_WALK) != 0 || r->proxyreq != PROXYREQ_NONE) {
        return DECLINED;
    }
    r->finfo.filetype = APR_NOFILE;
    return OK;
}

/** Before the fixups of other modules: mod_dir redirects and looks for an index in a directory. */
static int hide_directory(request_rec *r)
{
    if (claim_of(r)) {
        r->finfo.filetype = APR_NOFILE;
        if (r->proxyreq != PROXYREQ_NONE) {
            apr_table_unset(r->notes, CLAIM_NOTE); /* A rule of the virtual host proxies it. */
        }
    }
    return DECLINED;
}

/** After the fixups of other modules: mod_rewrite redirects by setting another handler. */
static int keep_handler(request_rec *r)
{
    if (claim_of(r)) {
        r->handler = RH_API_HANDLER;
        r->proxyreq = PROXYREQ_NONE;
    }
    return DECLINED;
}

void rh_api_claim_register(void)
{
    /* Before mod_proxy's handler. */
    ap_hook_translate_name(claim_request, NULL, NULL, APR_HOOK_REALLY_FIRST);
    ap_hook_map_to_storage(skip_storage, NULL, NULL, APR_HOOK_REALLY_FIRST);
    ap_hook_fixups(hide_directory, NULL, NULL, APR_HOOK_REALLY_FIRST);
    ap_hook_fixups(keep_handler, NULL, NULL, APR_HOOK_REALLY_LAST);
}
