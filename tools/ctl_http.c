/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/* HTTP requests to the API. */
#include "ctl.h"

#include "rh_client.h"
#include "rh_pool.h"
#include "rh_url.h"

#include <apr_base64.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <unistd.h>

/** Time-outs of a whole request, and of its part until the connection is established. */
#define TIMEOUT apr_time_from_sec(30)
#define CONNECT_TIMEOUT apr_time_from_sec(10)
/** Maximum size of a response, in bytes. */
#define MAX_RESPONSE_BYTES (32 * 1024 * 1024)
/** Maximum length of a typed password, in bytes. */
#define MAX_PASSWORD_BYTES 256
/** How often an empty page of a list is followed by the next one. */
#define MAX_EMPTY_PAGES 20

/* ---- login ---- */

/** Ask for the password of a name; NULL: there is none. */
static const char *find_password(ctl_t *ctl, const char *user)
{
    const char *password = getenv("RESTHOOKSCTL_PASSWORD");
    char typed[MAX_PASSWORD_BYTES];

    if (password) {
        return password;
    }
    if (!isatty(STDIN_FILENO) ||
        EVP_read_pw_string(typed, sizeof(typed), apr_psprintf(ctl->pool, "Password of %s: ", user),
                           0) != 0) {
        return NULL;
    }
    password = apr_pstrdup(ctl->pool, typed);
    OPENSSL_cleanse(typed, sizeof(typed));
    return password;
}

/** Make a Basic authentication field (RFC 7617), if a login is given. */
static int add_user(ctl_t *ctl, apr_table_t *headers)
{
    const char *user = ctl_option(ctl, CTL_USER), *password;
    char *encoded;

    if (!user) {
        user = getenv("RESTHOOKSCTL_USER");
    }
    if (!user || !*user) {
        return CTL_DONE;
    }
    if (!strchr(user, ':')) {
        password = find_password(ctl, user);
        if (!password) {
            return ctl_misuse(ctl, "the password of %s: --user %s:… or RESTHOOKSCTL_PASSWORD", user,
                              user);
        }
        user = apr_pstrcat(ctl->pool, user, ":", password, NULL);
    }
    encoded = apr_palloc(ctl->pool, (apr_size_t)apr_base64_encode_len((int)strlen(user)));
    apr_base64_encode(encoded, user, (int)strlen(user));
    apr_table_setn(headers, "Authorization", apr_pstrcat(ctl->pool, "Basic ", encoded, NULL));
    return CTL_DONE;
}

static int add_headers(ctl_t *ctl, apr_table_t *headers)
{
    const apr_array_header_t *given = ctl->given[CTL_HEADER];

    apr_table_setn(headers, "User-Agent", "resthooksctl/" RH_VERSION);
    apr_table_setn(headers, "Accept", "application/json");
    for (int i = 0; given && i < given->nelts; i++) {
        const char *field = APR_ARRAY_IDX(given, i, const char *), *colon = strchr(field, ':');

        if (!colon || colon == field) {
            return ctl_misuse(ctl, "--header %s: must be \"Name: value\"", field);
        }
        apr_table_addn(headers, apr_pstrmemdup(ctl->pool, field, (apr_size_t)(colon - field)),
                       colon + 1 + strspn(colon + 1, " \t"));
    }
    return add_user(ctl, headers);
}

/* ---- URLs ---- */

static bool is_plain(char c)
{
    return rh_is_alphanumeric(c) || (c && strchr("-._~", c));
}

/** Percent-encode everything but unreserved characters (RFC 3986 §2.3). */
static const char *encoded(apr_pool_t *pool, const char *text)
{
    char *result = apr_palloc(pool, strlen(text) * 3 + 1), *to = result;

    for (; *text; text++) {
        to += is_plain(*text) ? sprintf(to, "%c", *text)
                              : sprintf(to, "%%%02X", (unsigned char)*text);
    }
    *to = '\0';
    return result;
}

const char *ctl_path(ctl_t *ctl, const char *collection, const char *id, const char *rest)
{
    return apr_pstrcat(ctl->pool, "/", collection, "/", encoded(ctl->pool, id), rest ? "/" : "",
                       rest ? rest : "", NULL);
}

const char *ctl_query(ctl_t *ctl, const char *path, const char *name, const char *value)
{
    return value ? apr_pstrcat(ctl->pool, path, strchr(path, '?') ? "&" : "?", name, "=",
                               encoded(ctl->pool, value), NULL)
                 : path;
}

int ctl_page(ctl_t *ctl, const char **path)
{
    int limit, status = ctl_number(ctl, CTL_LIMIT, 50, 1, 500, &limit);

    *path = ctl_query(ctl, *path, "limit", ctl_option(ctl, CTL_LIMIT));
    *path = ctl_query(ctl, *path, "before", ctl_option(ctl, CTL_BEFORE));
    return status;
}

/** Return the URL of a path below the API's base. */
static int find_url(ctl_t *ctl, const char *path, const char **result)
{
    const char *base = ctl_option(ctl, CTL_URL), *reason;
    rh_url_t url;
    apr_size_t len;

    if (!base) {
        base = getenv("RESTHOOKSCTL_URL");
    }
    if (!base || !*base) {
        return ctl_misuse(ctl, "where is the API? --url https://host/hooks, or RESTHOOKSCTL_URL");
    }
    len = strlen(base);
    if (rh_url_parse(ctl->pool, base, len, &url, &reason) != APR_SUCCESS) {
        return ctl_misuse(ctl, "the URL %s %s%s", strchr(base, '@') ? "of the API" : base, reason,
                          strchr(base, '@') ? " (--user is for them)" : "");
    }
    if (strchr(base, '?')) {
        return ctl_misuse(ctl, "the URL %s must not have a query", base);
    }
    while (len && base[len - 1] == '/') {
        len--;
    }
    *result = apr_pstrcat(ctl->pool, apr_pstrmemdup(ctl->pool, base, len), path, NULL);
    if (ctl->command->options & (UINT64_C(1) << CTL_TENANT) &&
        strcmp(ctl->command->name, "publish") != 0) {
        *result = ctl_query(ctl, *result, "tenant", ctl_option(ctl, CTL_TENANT));
    }
    return CTL_DONE;
}

/* ---- requests ---- */

static void write_log(void *baton, rh_log_level_t level, apr_status_t status, const char *tag,
                      const char *message)
{
    (void)level;
    (void)status;
    (void)tag;
    (void)ctl_fail(baton, "%s", message);
}

static void done(rh_exchange_t *exchange, void *baton)
{
    (void)exchange;
    *(bool *)baton = true;
}

/** Allow every address: the tool has no more access to the network than the user who runs it. */
static const rh_egress_policy_t *any_address(apr_pool_t *pool)
{
    rh_egress_policy_t *policy = rh_egress_make(pool);

    (void)rh_egress_add(policy, true, "0.0.0.0/0");
    (void)rh_egress_add(policy, true, "::/0");
    return policy;
}

/** Make the exchange, and copy the response to the pool of `ctl`. */
static int exchange_it(ctl_t *ctl, rh_exchange_t *exchange, apr_pool_t *loop, rh_net_config_t *net)
{
    rh_client_limits_t limits = {0, 0, 0, 0, 0};
    rh_log_t log = {write_log, ctl, RH_LOG_WARN};
    rh_transport_t *transport;
    const char *error = NULL;
    bool ended = false;

    net->policy = any_address(loop);
    net->tls_ca_file = ctl_option(ctl, CTL_CACERT);
    if (rh_net_config_init(net, loop, &error) != APR_SUCCESS) {
        return ctl_fail(ctl, "%s", error);
    }
    if (rh_client_global_init(ctl->pool) != APR_SUCCESS ||
        rh_client_make(loop, &limits, &log, &transport) != APR_SUCCESS) {
        return ctl_fail(ctl, "the network can't be set up");
    }
    exchange->net = net;
    exchange->done = done;
    /* cppcheck-suppress autoVariables ; the exchange ends before this does */
    exchange->baton = &ended;
    transport->send(transport, exchange);
    while (!ended) {
        (void)transport->poll(transport, apr_time_from_sec(1));
    }
    if (exchange->result != RH_EXCHANGE_OK) {
        return ctl_fail(ctl, "%s: %s", exchange->url, exchange->error);
    }
    return CTL_DONE;
}

static void copy_answer(ctl_t *ctl, const rh_exchange_t *exchange, ctl_answer_t *answer)
{
    const char *type = apr_table_get(exchange->answer_headers, "Content-Type");
    rh_json_error_t error;

    answer->status = exchange->status_code;
    answer->headers = apr_table_clone(ctl->pool, exchange->answer_headers);
    answer->body.data = apr_pstrmemdup(
        ctl->pool, exchange->answer.data ? exchange->answer.data : "", exchange->answer.len);
    answer->body.len = exchange->answer.len;
    if (type && (strncasecmp(type, "application/json", 16) == 0 ||
                 strncasecmp(type, "application/problem+json", 24) == 0)) {
        (void)rh_json_parse(ctl->pool, answer->body.data, answer->body.len, &answer->json, &error);
    }
}

int ctl_ask(ctl_t *ctl, const char *method, const char *path, struct json_object *body,
            ctl_answer_t *answer)
{
    rh_exchange_t *exchange = apr_pcalloc(ctl->pool, sizeof(*exchange));
    rh_net_config_t net;
    apr_pool_t *loop;
    int status;

    memset(answer, 0, sizeof(*answer));
    memset(&net, 0, sizeof(net));
    exchange->method = method;
    exchange->headers = apr_table_make(ctl->pool, 8);
    exchange->connect_timeout = CONNECT_TIMEOUT;
    exchange->most_answer = MAX_RESPONSE_BYTES + 1;
    status = find_url(ctl, path, &exchange->url);
    if (status == CTL_DONE) {
        status = ctl_duration(ctl, CTL_TIMEOUT, TIMEOUT, false, &exchange->timeout);
    }
    if (status == CTL_DONE) {
        status = add_headers(ctl, exchange->headers);
    }
    if (status != CTL_DONE) {
        return status;
    }
    if (body) {
        apr_table_setn(exchange->headers, "Content-Type",
                       strcmp(method, "PATCH") == 0 ? "application/merge-patch+json"
                                                    : "application/json");
        exchange->body.data = rh_json_text(ctl->pool, body, &exchange->body.len);
    }
    if (rh_root_pool_make(&loop, RH_POOL_KEEP, false) != APR_SUCCESS) {
        return ctl_fail(ctl, "out of memory");
    }
    exchange->pool = loop;
    status = exchange_it(ctl, exchange, loop, &net);
    if (status == CTL_DONE && exchange->answer.len > MAX_RESPONSE_BYTES) {
        status =
            ctl_fail(ctl, "%s: the answer is over 32 MiB: --limit asks for less", exchange->url);
    }
    if (status == CTL_DONE) {
        copy_answer(ctl, exchange, answer);
    }
    apr_pool_destroy(loop);
    return status;
}

/* ---- errors ---- */

/** Return the error text of a response, by RFC 9457 or by its status. */
int ctl_refused(ctl_t *ctl, const ctl_answer_t *answer)
{
    struct json_object *errors = NULL;
    const char *text, *location = apr_table_get(answer->headers, "Location");

    if (!json_object_is_type(answer->json, json_type_object)) {
        const char *hint = answer->status == 401   ? ": are name and password right?"
                           : answer->status == 404 ? ": is there a resthooks handler at the URL?"
                                                   : "";

        if (answer->status >= 300 && answer->status < 400 && location) {
            hint = apr_pstrcat(ctl->pool, ": redirected to ", location, ", which is not followed",
                               NULL);
        }
        return ctl_fail(ctl, "the server answered %d, and not as the API does%s", answer->status,
                        hint);
    }
    text = apr_psprintf(ctl->pool, "%d %s", answer->status,
                        ctl_text(ctl->pool, answer->json, "title"));
    if (json_object_object_get_ex(answer->json, "detail", NULL)) {
        text =
            apr_pstrcat(ctl->pool, text, ": ", ctl_text(ctl->pool, answer->json, "detail"), NULL);
    }
    (void)json_object_object_get_ex(answer->json, "errors", &errors);
    for (apr_size_t i = 0;
         json_object_is_type(errors, json_type_array) && i < json_object_array_length(errors);
         i++) {
        struct json_object *error = json_object_array_get_idx(errors, i);

        text = apr_pstrcat(ctl->pool, text, "\n  ", ctl_text(ctl->pool, error, "field"), ": ",
                           ctl_text(ctl->pool, error, "detail"), NULL);
    }
    return ctl_fail(ctl, "%s", text);
}

int ctl_call(ctl_t *ctl, const char *method, const char *path, struct json_object *body,
             ctl_answer_t *answer)
{
    int status = ctl_ask(ctl, method, path, body, answer);

    if (status != CTL_DONE) {
        return status;
    }
    if (answer->status < 200 || answer->status > 299 || (answer->status != 204 && !answer->json)) {
        return ctl_refused(ctl, answer);
    }
    return CTL_DONE;
}

/** Return `before` of the next page; NULL: this is the last one. */
static const char *next_page(ctl_t *ctl, const ctl_answer_t *answer)
{
    const char *link = apr_table_get(answer->headers, "Link");
    const char *before = link ? strstr(link, "before=") : NULL;

    return before ? apr_pstrmemdup(ctl->pool, before + 7, strcspn(before + 7, "&>")) : NULL;
}

/**
 * Get a page of a list. The server ends one when it has looked at enough; an empty one is followed
 * by the next, up to MAX_EMPTY_PAGES times.
 */
static int get_page(ctl_t *ctl, const char *path, ctl_answer_t *answer)
{
    int status = ctl_call(ctl, "GET", path, NULL, answer);
    const char *next;

    for (int i = 0;
         i < MAX_EMPTY_PAGES && status == CTL_DONE &&
         json_object_is_type(answer->json, json_type_array) &&
         json_object_array_length(answer->json) == 0 && (next = next_page(ctl, answer)) != NULL;
         i++) {
        status = ctl_call(ctl, "GET", ctl_query(ctl, path, "before", next), NULL, answer);
    }
    return status;
}

int ctl_list(ctl_t *ctl, const char *path, const ctl_column_t *columns,
             void (*prepare)(ctl_t *, struct json_object *))
{
    ctl_answer_t answer;
    int status = get_page(ctl, path, &answer);
    const char *next;
    apr_size_t count;

    if (status != CTL_DONE) {
        return status;
    }
    if (ctl_has(ctl, CTL_JSON)) {
        ctl_print_raw(ctl, answer.body);
        return CTL_DONE;
    }
    if (!json_object_is_type(answer.json, json_type_array)) {
        return ctl_refused(ctl, &answer);
    }
    count = json_object_array_length(answer.json);
    next = next_page(ctl, &answer);
    if (count == 0) {
        puts(next ? "none so far" : "none");
    } else if (prepare) {
        prepare(ctl, answer.json);
    }
    if (count > 0) {
        ctl_print_table(ctl, answer.json, columns);
    }
    if (next) {
        printf(count > 0 ? "There are more: --before %s\n" : "Older ones: --before %s\n", next);
    }
    return CTL_DONE;
}

int ctl_show(ctl_t *ctl, const char *path, void (*show)(ctl_t *, struct json_object *))
{
    ctl_answer_t answer;
    int status = ctl_call(ctl, "GET", path, NULL, &answer);

    if (status != CTL_DONE) {
        return status;
    }
    if (ctl_has(ctl, CTL_JSON)) {
        ctl_print_raw(ctl, answer.body);
    } else if (show) {
        show(ctl, answer.json);
    } else {
        ctl_print_members(ctl, answer.json, 0, NULL);
    }
    return CTL_DONE;
}
