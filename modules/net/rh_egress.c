/* Licensed under the Apache License, Version 2.0: see LICENSE. */
#include "rh_egress.h"

#include "rh_special_ranges.h"
#include "rh_url.h"

#include <arpa/inet.h>
#include <netinet/in.h>

/** An address in the form in which rules are compared. */
typedef struct form_t {
    int family;
    unsigned char bytes[16];
} form_t;

typedef struct block_t {
    form_t base;
    int bits;
} block_t;

/** All forms of one address: itself first, then the IPv4 addresses that it embeds. */
typedef struct forms_t {
    form_t form[3];
    int count;
} forms_t;

struct rh_egress_policy_t {
    apr_pool_t *pool;
    apr_array_header_t *blocks[2]; /**< arrays of block_t: denied, allowed */
    apr_array_header_t *hosts[2]; /**< arrays of const char *, lower case; ".example.com" covers all
                                     hosts below it */
};

rh_egress_policy_t *rh_egress_make(apr_pool_t *pool)
{
    rh_egress_policy_t *policy = apr_pcalloc(pool, sizeof(*policy));

    policy->pool = pool;
    for (int allow = 0; allow < 2; allow++) {
        policy->blocks[allow] = apr_array_make(pool, 2, sizeof(block_t));
        policy->hosts[allow] = apr_array_make(pool, 2, sizeof(const char *));
    }
    return policy;
}

/* ---- addresses ---- */

static form_t ipv4_form(const unsigned char *bytes, unsigned char mask)
{
    form_t form;

    memset(&form, 0, sizeof(form));
    form.family = AF_INET;
    for (int i = 0; i < 4; i++) {
        form.bytes[i] = bytes[i] ^ mask;
    }
    return form;
}

static const unsigned char mapped_prefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
static const unsigned char compatible_prefix[16];
static const unsigned char nat64_prefix[12] = {0, 0x64, 0xff, 0x9b};
static const unsigned char local_nat64_prefix[6] = {0, 0x64, 0xff, 0x9b, 0, 1};
static const unsigned char six_to_four_prefix[2] = {0x20, 0x02};
static const unsigned char teredo_prefix[4] = {0x20, 0x01, 0, 0};

/** Find the forms of an IPv6 address. */
static forms_t ipv6_forms(const unsigned char *bytes)
{
    forms_t forms;

    memset(&forms, 0, sizeof(forms));
    if (rh_prefix_equal(bytes, mapped_prefix, 96)) {
        /* On the wire, this is that IPv4 address. */
        forms.form[forms.count++] = ipv4_form(bytes + 12, 0);
        return forms;
    }
    forms.form[0].family = AF_INET6;
    memcpy(forms.form[0].bytes, bytes, 16);
    forms.count = 1;
    if (rh_prefix_equal(bytes, compatible_prefix, 127)) {
        /* :: and ::1 embed no address (RFC 4291 §2.5.2, §2.5.3). */
        return forms;
    }
    if (rh_prefix_equal(bytes, compatible_prefix, 96) || rh_prefix_equal(bytes, nat64_prefix, 96)) {
        forms.form[forms.count++] = ipv4_form(bytes + 12, 0);
    } else if (rh_prefix_equal(bytes, local_nat64_prefix, 48)) {
        /* RFC 6052 §2.2: the position that a /48 uses, and the one of a /96 below it. */
        const unsigned char parts[4] = {bytes[6], bytes[7], bytes[9], bytes[10]};

        forms.form[forms.count++] = ipv4_form(parts, 0);
        forms.form[forms.count++] = ipv4_form(bytes + 12, 0);
    } else if (rh_prefix_equal(bytes, six_to_four_prefix, 16)) {
        forms.form[forms.count++] = ipv4_form(bytes + 2, 0);
    } else if (rh_prefix_equal(bytes, teredo_prefix, 32)) {
        /* RFC 4380 §4: the server, and the client with inverted bits. */
        forms.form[forms.count++] = ipv4_form(bytes + 4, 0);
        forms.form[forms.count++] = ipv4_form(bytes + 12, 0xff);
    }
    return forms;
}

static bool forms_of(const rh_address_t *address, forms_t *forms)
{
    if (address->family == APR_INET) {
        memset(forms, 0, sizeof(*forms));
        forms->form[forms->count++] = ipv4_form(address->bytes, 0);
        return true;
    }
    if (address->family == APR_INET6) {
        *forms = ipv6_forms(address->bytes);
        return true;
    }
    return false;
}

/** True for a unicast address of the public Internet. */
static bool is_public(const form_t *form)
{
    if (form->family == AF_INET) {
        return !rh_special_ipv4(form->bytes);
    }
    /*
     * Global unicast is 2000::/3 (RFC 4291 §2.4 and IANA's registry of the address space). Through
     * the well-known NAT64 prefix a network without IPv4 reaches IPv4 hosts; the embedded address
     * is judged as well.
     */
    return rh_prefix_equal(form->bytes, nat64_prefix, 96) ||
           ((form->bytes[0] & 0xe0) == 0x20 && !rh_special_ipv6(form->bytes));
}

static bool matches(const apr_array_header_t *blocks, const form_t *form)
{
    for (int i = 0; i < blocks->nelts; i++) {
        const block_t *block = &APR_ARRAY_IDX(blocks, i, block_t);

        if (block->base.family == form->family &&
            rh_prefix_equal(form->bytes, block->base.bytes, block->bits)) {
            return true;
        }
    }
    return false;
}

/* ---- hosts ---- */

static bool host_matches(const apr_array_header_t *hosts, const char *host, apr_size_t len)
{
    for (int i = 0; i < hosts->nelts; i++) {
        const char *rule = APR_ARRAY_IDX(hosts, i, const char *);
        apr_size_t rule_len = strlen(rule);

        if (*rule == '.' ? len > rule_len && !strncasecmp(host + len - rule_len, rule, rule_len)
                         : len == rule_len && !strncasecmp(host, rule, len)) {
            return true;
        }
    }
    return false;
}

/** Length without the dot of the root: "example.com." is "example.com". */
static apr_size_t host_length(const char *host)
{
    apr_size_t len = host ? strlen(host) : 0;

    return len > 1 && host[len - 1] == '.' ? len - 1 : len;
}

bool rh_egress_denies_host(const rh_egress_policy_t *policy, const char *host)
{
    return policy && host_matches(policy->hosts[false], host, host_length(host));
}

bool rh_egress_allows(const rh_egress_policy_t *policy, const char *host,
                      const rh_address_t *address)
{
    apr_size_t len = host_length(host);
    forms_t forms;

    if (rh_egress_denies_host(policy, host)) {
        return false;
    }
    if (!address) {
        return policy && host_matches(policy->hosts[true], host, len);
    }
    if (!forms_of(address, &forms)) {
        return false;
    }
    for (int i = 0; policy && i < forms.count; i++) {
        if (matches(policy->blocks[false], &forms.form[i])) {
            return false;
        }
    }
    if (policy && host_matches(policy->hosts[true], host, len)) {
        return true;
    }
    for (int i = 0; i < forms.count; i++) {
        if (!is_public(&forms.form[i]) &&
            !(policy && matches(policy->blocks[true], &forms.form[i]))) {
            return false;
        }
    }
    return true;
}

bool rh_egress_names(const rh_egress_policy_t *policy, const char *host,
                     const rh_address_t *address)
{
    forms_t forms;

    if (host_matches(policy->hosts[true], host, host_length(host))) {
        return true;
    }
    return address && forms_of(address, &forms) && matches(policy->blocks[true], &forms.form[0]);
}

/* ---- rules ---- */

static bool read_address(const char *text, apr_size_t len, form_t *form)
{
    char copy[INET6_ADDRSTRLEN];

    if (len > 2 && text[0] == '[' && text[len - 1] == ']') {
        text++;
        len -= 2;
    }
    if (len == 0 || len >= sizeof(copy)) {
        return false;
    }
    memcpy(copy, text, len);
    copy[len] = '\0';
    memset(form, 0, sizeof(*form));
    form->family = memchr(copy, ':', len) ? AF_INET6 : AF_INET;
    return inet_pton(form->family, copy, form->bytes) == 1;
}

static bool host_bits_zero(const block_t *block, int width)
{
    for (int bit = block->bits; bit < width; bit++) {
        if (block->base.bytes[bit / 8] & (0x80 >> bit % 8)) {
            return false;
        }
    }
    return true;
}

static const char *add_block(rh_egress_policy_t *policy, bool allow, block_t block)
{
    if (!host_bits_zero(&block, block.base.family == AF_INET ? 32 : 128)) {
        return "has bits set after its prefix: 10.0.0.0/8, not 10.1.2.3/8";
    }
    if (block.base.family == AF_INET6 && block.bits >= 96 &&
        rh_prefix_equal(block.base.bytes, mapped_prefix, 96)) {
        block.base = ipv4_form(block.base.bytes + 12, 0);
        block.bits -= 96;
    }
    APR_ARRAY_PUSH(policy->blocks[allow], block_t) = block;
    return NULL;
}

static const char *add_cidr(rh_egress_policy_t *policy, bool allow, const char *rule,
                            const char *slash)
{
    rh_bytes_t prefix = rh_bytes_of(slash + 1);
    apr_int64_t bits = rh_number_of(prefix);
    block_t block;

    if (!read_address(rule, (apr_size_t)(slash - rule), &block.base)) {
        return "is not a CIDR block: 10.0.0.0/8 or fd00::/8";
    }
    if (bits < 0 || (prefix.len > 1 && *prefix.data == '0') ||
        bits > (block.base.family == AF_INET ? 32 : 128)) {
        return "has a bad prefix length";
    }
    block.bits = (int)bits;
    return add_block(policy, allow, block);
}

static const char *add_host(rh_egress_policy_t *policy, bool allow, const char *rule)
{
    const char *suffix = rule[0] == '*' && rule[1] == '.' ? rule + 1 : rule;
    apr_size_t len = host_length(suffix);
    apr_size_t skip = *suffix == '.' ? 1 : 0;
    char *host;

    if (len <= skip || suffix[len - 1] == '.' || rh_host_complaint(suffix + skip, len - skip)) {
        return "is not an address, a CIDR block or a host name";
    }
    host = apr_pstrmemdup(policy->pool, suffix, len);
    rh_lower_text(host);
    APR_ARRAY_PUSH(policy->hosts[allow], const char *) = host;
    return NULL;
}

const char *rh_egress_add(rh_egress_policy_t *policy, bool allow, const char *rule)
{
    const char *slash = strchr(rule, '/');
    block_t block;

    if (slash) {
        return add_cidr(policy, allow, rule, slash);
    }
    if (read_address(rule, strlen(rule), &block.base)) {
        block.bits = block.base.family == AF_INET ? 32 : 128;
        return add_block(policy, allow, block);
    }
    return add_host(policy, allow, rule);
}
