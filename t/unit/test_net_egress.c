/* Licensed under the Apache License, Version 2.0: see LICENSE. */
#include "rh_egress.h"

#include "tap.h"

#include <apr_general.h>

static apr_pool_t *pool;

/** Make rules as directives do: "+rule" allows, "-rule" denies, separated by blanks. */
static rh_egress_policy_t *policy_of(const char *rules)
{
    rh_egress_policy_t *policy = rh_egress_make(pool);
    char *copy = apr_pstrdup(pool, rules), *last = NULL;

    for (char *rule = apr_strtok(copy, " ", &last); rule; rule = apr_strtok(NULL, " ", &last)) {
        const char *complaint = rh_egress_add(policy, *rule == '+', rule + 1);

        if (complaint) {
            ok(false, "the rule %s is valid (%s)", rule, complaint);
        }
    }
    return policy;
}

static bool allows(const rh_egress_policy_t *policy, const char *host, const char *text)
{
    rh_address_t address;

    return rh_address_read(text, &address) && rh_egress_allows(policy, host, &address);
}

static void by_default(void)
{
    static const char *const public_ones[] = {
        "1.1.1.1",         "8.8.8.8",         "93.184.216.34",        "9.255.255.255",
        "11.0.0.0",        "100.63.255.255",  "100.128.0.0",          "126.255.255.255",
        "128.0.0.0",       "169.253.255.255", "172.15.255.255",       "172.32.0.0",
        "192.167.255.255", "192.169.0.0",     "198.17.255.255",       "198.20.0.0",
        "168.63.129.15",   "168.63.129.17",   "161.27.0.0",           "166.12.0.0",
        "223.255.255.255", "2606:4700::1111", "2a00:1450:4001::200e", "64:ff9b::808:808",
    };
    static const char *const others[] = {
        "0.0.0.0",
        "0.255.255.255",
        "10.0.0.0",
        "10.255.255.255",
        "100.64.0.0",
        "100.127.255.255",
        "127.0.0.1",
        "127.255.255.255",
        "169.254.169.254",
        "172.16.0.0",
        "172.31.255.255",
        "192.0.0.1",
        "192.0.2.1",
        "192.168.0.1",
        "198.18.0.0",
        "198.19.255.255",
        "198.51.100.7",
        "203.0.113.7",
        "224.0.0.1",
        "239.255.255.255",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::7f00:1",
        "::ffff:10.0.0.1",
        "::ffff:127.0.0.1",
        "64:ff9b::7f00:1",
        "64:ff9b::a00:1",
        "64:ff9b:1::1",
        "64:ff9b:1:a00:0:100:0:0",
        "100::1",
        "2001::1",
        "2001:db8::1",
        "2002:7f00:1::1",
        "2002:a00:1::1",
        "fc00::1",
        "fd12:3456::1",
        "fe80::1",
        "fec0::1",
        "ff02::1",
        "4000::1",
        "3fff::1",
        "5f00::1",
        "168.63.129.16",
        "::ffff:168.63.129.16",
        "64:ff9b::a83f:8110",
        "100.100.100.200",
        "192.0.0.192",
        "fd00:ec2::254",
        "161.26.0.10",
        "166.8.0.1",
        "166.11.255.255",
    };

    for (size_t i = 0; i < sizeof(public_ones) / sizeof(public_ones[0]); i++) {
        ok(allows(NULL, NULL, public_ones[i]), "%s is public", public_ones[i]);
    }
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        ok(!allows(NULL, "example.com", others[i]), "%s is not public", others[i]);
    }
    ok(allows(NULL, NULL, "::ffff:8.8.8.8"), "a mapped public address is public");
}

static void by_block(void)
{
    rh_egress_policy_t *policy = policy_of(
        "+127.0.0.0/8 -127.0.0.2 +10.1.0.0/16 -8.8.8.0/24 +::1 +fd00::/8 -2001:4860::/32");

    ok(allows(policy, NULL, "127.0.0.1"), "an allowed block can be reached");
    ok(allows(policy, NULL, "::ffff:127.0.0.1"), "also in its mapped form");
    ok(!allows(policy, NULL, "127.0.0.2"), "except for an address in it that is denied");
    ok(!allows(policy, NULL, "::ffff:127.0.0.2"), "also in its mapped form");
    ok(allows(policy, NULL, "10.1.255.255"), "the last of a block is in it");
    ok(!allows(policy, NULL, "10.2.0.0"), "the next address is not");
    ok(!allows(policy, NULL, "8.8.8.8"), "a public block can be denied");
    ok(!allows(policy, NULL, "64:ff9b::808:808"), "also through NAT64");
    ok(!allows(policy, NULL, "2002:808:808::1"), "also through 6to4");
    ok(allows(policy, NULL, "8.8.4.4"), "its neighbour is still allowed");
    ok(allows(policy, NULL, "::1"), "an IPv6 address can be allowed");
    ok(allows(policy, NULL, "fd00::1"), "so can an IPv6 block");
    ok(!allows(policy, NULL, "fc00::1"), "no other address is");
    ok(!allows(policy, NULL, "2001:4860:4860::8888"), "an IPv6 block can be denied");
    ok(!allows(policy, NULL, "0.0.0.1"), "::1 allows nothing in IPv4");
    ok(!allows(policy_of("+10.0.0.0/8 -0.0.0.0/0"), NULL, "10.0.0.1"),
       "deny takes precedence over allow");
    ok(!allows(policy_of("-0.0.0.0/0"), NULL, "8.8.8.8"), "all of IPv4 can be denied");
    ok(allows(policy_of("+0.0.0.0/0"), NULL, "127.0.0.1"), "all of IPv4 can be allowed");
}

static void by_host(void)
{
    rh_egress_policy_t *policy =
        policy_of("+intra.example +.lab.example -bad.lab.example -*.evil.example -10.6.6.6");

    ok(allows(policy, "intra.example", "10.0.0.1"), "an allowed host has any address");
    ok(allows(policy, "INTRA.example.", "10.0.0.1"), "in any notation");
    ok(rh_egress_allows(policy, "intra.example", NULL), "even an address of an unknown kind");
    ok(!allows(policy, "a.intra.example", "10.0.0.1"), "but not names below it");
    ok(!allows(policy, "notintra.example", "10.0.0.1"), "nor names that only end with it");
    ok(!allows(policy, "intra.example", "10.6.6.6"), "nor an address that is denied");
    ok(!allows(policy, NULL, "10.0.0.1"), "nor the address without the name");
    ok(allows(policy, "a.lab.example", "10.0.0.1"), "all names below a name can be allowed");
    ok(allows(policy, "b.a.lab.example", "10.0.0.1"), "at any depth");
    ok(!allows(policy, "lab.example", "10.0.0.1"), "without the name itself");
    ok(!allows(policy, "bad.lab.example", "10.0.0.1"), "one of them can be denied");
    ok(!allows(policy, "x.evil.example", "8.8.8.8"), "a denied host has no address at all");
    ok(rh_egress_denies_host(policy, "x.evil.example"), "because of its name");
    ok(!rh_egress_denies_host(policy, "evil.example") && !rh_egress_denies_host(policy, NULL),
       "other hosts have theirs");
    ok(!rh_egress_denies_host(NULL, "x.evil.example"), "without a policy none is denied");
    ok(!rh_egress_allows(policy, "elsewhere.example", NULL), "an unknown address is not allowed");
}

static void what_is_no_rule(void)
{
    static const char *const rules[] = {
        "",
        "10.0.0.1/8",
        "10.0.0.0/33",
        "10.0.0.0/",
        "10.0.0.0/08",
        "10.0.0.0/-1",
        "10.0.0/8",
        "10.0.0.0/8x",
        "fd00::/129",
        "fd00::1/8",
        "host/8",
        "a..b",
        "-",
        "*",
        "*.",
        ".",
        "a b",
        "999.1.1.1",
        "127.1",
        "a.*.b",
        "http://x",
        "::ffff:0/95",
        "\xc3\xa9.example",
        "[::1",
    };
    rh_egress_policy_t *policy = rh_egress_make(pool);
    char label[70], rule[80];

    for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
        if (strcmp(rules[i], "-") == 0) {
            continue;
        }
        ok(rh_egress_add(policy, true, rules[i]) != NULL, "\"%s\" is not a rule", rules[i]);
    }
    memset(label, 'a', sizeof(label));
    apr_snprintf(rule, sizeof(rule), "%.64s.example", label);
    ok(rh_egress_add(policy, true, rule) != NULL, "nor is a label of 64 characters");
    ok(rh_egress_add(policy, true, "[fd00::1]") == NULL, "an address may stand in brackets");
    ok(allows(policy, NULL, "fd00::1"), "it is that address");
}

int main(void)
{
    apr_initialize();
    apr_pool_create(&pool, NULL);
    by_default();
    by_block();
    by_host();
    what_is_no_rule();
    apr_pool_destroy(pool);
    apr_terminate();
    return done_testing();
}
