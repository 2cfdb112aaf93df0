/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/* Finds the items in bodies from which events are made, and evaluates expressions on them. */
#include "rh_capture.h"

#include <string.h>

static rh_body_t *find_body(rh_capture_t *capture, const rh_match_t *match, rh_data_source_t source)
{
    switch (source) {
    case RH_DATA_RESPONSE:
        return &capture->response;
    case RH_DATA_REQUEST:
        return &capture->request;
    case RH_DATA_BEFORE:
        return match->before ? &match->before->body : NULL;
    default:
        return match->after ? &match->after->body : NULL;
    }
}

#define SOURCE_NAME(id, word, name) name,
static const char *const source_names[] = {RH_DATA_SOURCES(SOURCE_NAME)};

static const rh_json_tree_t *find_tree(rh_capture_t *capture, const rh_match_t *match,
                                       rh_data_source_t source)
{
    rh_body_t *body = find_body(capture, match, source);

    return body ? rh_capture_tree(capture, body, source_names[source]) : NULL;
}

/** Return the subtree of a node with the node as its root, where queries begin. */
static const rh_json_tree_t *cut_tree(const rh_capture_t *capture, const rh_json_tree_t *tree,
                                      int node)
{
    const rh_bytes_t *text = &tree->nodes[node].text;
    rh_json_tree_t *part;

    if (node == 0) {
        return tree;
    }
    return rh_json_tree_parse(capture->r->pool, text->data, text->len, &part, NULL) == APR_SUCCESS
               ? part
               : NULL;
}

static void add_item(apr_array_header_t *items, rh_bytes_t data, const rh_json_tree_t *tree,
                     const char *reason)
{
    rh_item_t *item = apr_array_push(items);

    item->data = data;
    item->tree = tree;
    item->reason = reason;
}

static void add_nothing(apr_array_header_t *items, const char *reason)
{
    add_item(items, (rh_bytes_t){NULL, 0}, NULL, reason);
}

/** Add an item for each node that each= selects. */
static void add_each(const rh_capture_t *capture, const rh_match_t *match,
                     const rh_json_tree_t *tree, apr_array_header_t *items)
{
    apr_array_header_t *nodes;
    const char *reason = NULL;
    int count;

    if (rh_jsonpath_run(match->rule->each, tree, RH_JSONPATH_STEPS, capture->r->pool, &nodes) !=
        APR_SUCCESS) {
        add_nothing(items, RH_REASON_TOO_COMPLEX);
        return;
    }
    rh_jsonpath_sort(nodes);
    count = nodes->nelts;
    if (count > RH_MAX_BATCH) {
        count = RH_MAX_BATCH;
        reason = RH_REASON_TOO_MANY_ITEMS;
    }
    for (int i = 0; i < count; i++) {
        add_item(items, tree->nodes[APR_ARRAY_IDX(nodes, i, int)].text, NULL, reason);
    }
}

apr_array_header_t *rh_items_select(rh_capture_t *capture, const rh_match_t *match)
{
    const rh_rule_t *rule = match->rule;
    apr_array_header_t *items = apr_array_make(capture->r->pool, 1, sizeof(rh_item_t));
    rh_body_t *body = find_body(capture, match, rule->data);
    const rh_json_tree_t *tree;
    int node = 0;

    if (body) {
        rh_capture_settle(capture, body, source_names[rule->data]);
    }
    if (!body || body->state != RH_BODY_WHOLE) {
        add_nothing(items, body ? body->reason : RH_REASON_NO_RESOURCE);
        return items;
    }
    if (!rule->query && !rule->each) {
        add_item(items, body->bytes, NULL, NULL);
        return items;
    }
    tree = rh_capture_tree(capture, body, source_names[rule->data]);
    if (tree && rule->query) {
        node = rh_jsonpath_first(rule->query, tree, capture->r->pool);
    }
    if (!tree || node == RH_JSON_NO_NODE) {
        add_nothing(items, tree ? RH_REASON_NO_ITEM : RH_REASON_TOO_COMPLEX);
    } else if (!rule->each) {
        add_item(items, tree->nodes[node].text, NULL, NULL);
    } else if ((tree = cut_tree(capture, tree, node)) != NULL) {
        add_each(capture, match, tree, items);
    }
    return items;
}

const rh_json_tree_t *rh_item_tree(const rh_capture_t *capture, rh_item_t *item)
{
    rh_json_tree_t *tree;

    if (!item->tree && item->data.data &&
        rh_json_tree_parse(capture->r->pool, item->data.data, item->data.len, &tree, NULL) ==
            APR_SUCCESS) {
        item->tree = tree;
    }
    return item->tree;
}

const char *rh_item_text(const rh_capture_t *capture, const rh_json_tree_t *tree,
                         const rh_jsonpath_t *query)
{
    apr_pool_t *pool = capture->r->pool;
    int node = tree ? rh_jsonpath_first(query, tree, pool) : RH_JSON_NO_NODE;
    const rh_json_node_t *found;

    if (node == RH_JSON_NO_NODE) {
        return NULL;
    }
    found = &tree->nodes[node];
    if (found->kind != RH_JSON_STRING) {
        return apr_pstrmemdup(pool, found->text.data, found->text.len);
    }
    /* A NUL would end the string early and make it equal to a different one. */
    return memchr(found->string.data, '\0', found->string.len)
               ? NULL
               : apr_pstrmemdup(pool, found->string.data, found->string.len);
}

/** True if the earlier state is of another resource, because POST made a new one. */
static bool is_new(const rh_capture_t *capture, const rh_match_t *match)
{
    const request_rec *r = capture->answered;

    return !match->rule->url && strcmp(capture->r->method, "POST") == 0 &&
           (r->status == HTTP_CREATED || r->status == HTTP_SEE_OTHER);
}

/** Return the key of an item of the earlier state, by the same rule as for the item itself. */
static const char *find_key(const rh_capture_t *capture, const rh_match_t *match, rh_bytes_t data,
                            const rh_json_tree_t *tree)
{
    if (match->rule->key.query) {
        return rh_item_text(capture, tree, match->rule->key.query);
    }
    return rh_event_key(capture->r->pool, data.data, data.len);
}

/** Find the items of the earlier state by their keys, once for all items of a match. */
static apr_hash_t *find_before_items(const rh_capture_t *capture, const rh_match_t *match,
                                     const rh_json_tree_t *tree)
{
    apr_hash_t *found = apr_hash_make(capture->r->pool);
    apr_array_header_t *items = apr_array_make(capture->r->pool, 8, sizeof(rh_item_t));

    if (tree) {
        add_each(capture, match, tree, items);
    }
    for (int i = 0; i < items->nelts; i++) {
        rh_item_t *item = &APR_ARRAY_IDX(items, i, rh_item_t);
        const rh_json_tree_t *part = rh_item_tree(capture, item);
        const char *key = part ? find_key(capture, match, item->data, part) : NULL;

        if (key) {
            apr_hash_set(found, key, APR_HASH_KEY_STRING, part);
        }
    }
    return found;
}

bool rh_item_before(rh_capture_t *capture, rh_match_t *match, const char *key,
                    const rh_json_tree_t **result)
{
    const rh_rule_t *rule = match->rule;
    const rh_json_tree_t *tree = find_tree(capture, match, RH_DATA_BEFORE);
    int node = 0;

    *result = NULL;
    if (!tree || is_new(capture, match)) {
        return false;
    }
    if (rule->query) {
        node = rh_jsonpath_first(rule->query, tree, capture->r->pool);
    }
    if (node == RH_JSON_NO_NODE) {
        /*
         * The response may wrap the resource in something that the resource itself does not have.
         */
        if (rule->each || rule->data == RH_DATA_BEFORE || rule->data == RH_DATA_AFTER) {
            return false;
        }
        node = 0;
    }
    if (!rule->each) {
        *result = cut_tree(capture, tree, node);
        return *result != NULL;
    }
    if (!match->before_items) {
        match->before_items = find_before_items(capture, match, cut_tree(capture, tree, node));
    }
    *result = key ? apr_hash_get(match->before_items, key, APR_HASH_KEY_STRING) : NULL;
    return *result != NULL;
}

/** True if a resource is known to be missing, or its body is not JSON. */
static bool is_known(rh_capture_t *capture, const rh_match_t *match, rh_data_source_t source)
{
    const rh_body_t *body = find_body(capture, match, source);

    if (find_tree(capture, match, source)) {
        return true;
    }
    return body && body->state == RH_BODY_ABSENT &&
           (!body->reason || strcmp(body->reason, RH_REASON_NO_RESOURCE) == 0);
}

static const char *evaluate_changed(rh_capture_t *capture, const rh_match_t *match,
                                    const rh_jsonpath_t *query)
{
    const rh_json_tree_t *before, *after;
    int a = RH_JSON_NO_NODE, b = RH_JSON_NO_NODE;
    bool same;

    if (!is_known(capture, match, RH_DATA_BEFORE) || !is_known(capture, match, RH_DATA_AFTER)) {
        return "";
    }
    before = is_new(capture, match) ? NULL : find_tree(capture, match, RH_DATA_BEFORE);
    after = find_tree(capture, match, RH_DATA_AFTER);
    if (before) {
        a = rh_jsonpath_first(query, before, capture->r->pool);
    }
    if (after) {
        b = rh_jsonpath_first(query, after, capture->r->pool);
    }
    if (a == RH_JSON_NO_NODE || b == RH_JSON_NO_NODE) {
        same = a == b;
    } else {
        same = rh_json_same(before, a, after, b);
    }
    return same ? "" : "true";
}

const char *rh_item_evaluate(request_rec *r, rh_subject_t subject, const rh_jsonpath_t *query)
{
    rh_capture_t *capture = rh_capture_of(r);
    const char *text;

    if (!capture || !capture->item_match) {
        return "";
    }
    if (subject == RH_SUBJECT_CHANGED) {
        return evaluate_changed(capture, capture->item_match, query);
    }
    if (subject == RH_SUBJECT_ITEM) {
        text = rh_item_text(capture, rh_item_tree(capture, capture->item), query);
    } else {
        text = rh_item_text(
            capture, find_tree(capture, capture->item_match, (rh_data_source_t)subject), query);
    }
    return text ? text : "";
}
