/* Licensed under the Apache License, Version 2.0: see LICENSE. */
#include "rh_capture.h"

apr_status_t rh_capture_input(ap_filter_t *f, apr_bucket_brigade *brigade, ap_input_mode_t mode,
                              apr_read_type_e block, apr_off_t readbytes)
{
    rh_capture_t *capture = f->ctx;
    apr_status_t status = ap_get_brigade(f->next, brigade, mode, block, readbytes);

    if (status != APR_SUCCESS || capture->done || capture->request_complete ||
        (mode != AP_MODE_READBYTES && mode != AP_MODE_GETLINE)) {
        return status;
    }
    for (apr_bucket *e = APR_BRIGADE_FIRST(brigade); e != APR_BRIGADE_SENTINEL(brigade);
         e = APR_BUCKET_NEXT(e)) {
        const char *data;
        apr_size_t len;

        if (APR_BUCKET_IS_EOS(e)) {
            capture->request_complete = true;
            break;
        }
        if (APR_BUCKET_IS_METADATA(e) || capture->request_copy.over) {
            continue;
        }
        /* Reading a bucket of unknown length would load all of it, however long. */
        if (e->length == (apr_size_t)-1 ||
            apr_bucket_read(e, &data, &len, APR_BLOCK_READ) != APR_SUCCESS) {
            capture->request_copy.over = true;
            continue;
        }
        rh_copy_append(&capture->request_copy, capture->r->pool, data, len,
                       rh_capture_cap(capture));
    }
    return APR_SUCCESS;
}
