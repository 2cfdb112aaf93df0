/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/**
 * @file rh_form.h
 * @brief Makes JSON of other bodies: forms become objects, texts and anything else keep their
 * content type.
 */
#ifndef RH_FORM_H
#define RH_FORM_H

#include "rh_base.h"

/**
 * An HTML form: application/x-www-form-urlencoded, or multipart/form-data (RFC 7578), of which only
 * text fields and the names of files are kept. A name that is there once has a string, one that is
 * repeated an array of strings, in the order of their first appearance.
 * @param pool keeps the result
 * @return a JSON object; data NULL: not such a type, or the body is not what the type says
 */
rh_bytes_t rh_form_read(apr_pool_t *pool, const char *content_type, rh_bytes_t body);

/**
 * Any other body: {"content_type","text"} where it is UTF-8 text without U+0000, else
 * {"content_type","base64"}.
 * @return a JSON object in `pool`
 */
rh_bytes_t rh_form_wrap(apr_pool_t *pool, const char *content_type, rh_bytes_t body);

/** True for a content type whose bodies should be JSON: application/json, text/json, …+json. */
bool rh_form_type_is_json(const char *content_type);

#endif
