/* Licensed under the Apache License, Version 2.0: see LICENSE. */
#include "rh_special_ranges.h"

typedef struct ipv4_range_t {
    unsigned char base[4];
    int bits;
} ipv4_range_t;

typedef struct ipv6_range_t {
    unsigned char base[8]; /**< the first 64 bits; no range is narrower, except single addresses */
    int bits;
} ipv6_range_t;

/* https://www.iana.org/assignments/iana-ipv4-special-registry, and RFC 5771 for multicast. */
static const ipv4_range_t ipv4_ranges[] = {
    {{0, 0, 0, 0}, 8},       /* "this network", RFC 791 */
    {{10, 0, 0, 0}, 8},      /* private, RFC 1918 */
    {{100, 64, 0, 0}, 10},   /* shared between carrier and customer, RFC 6598 */
    {{127, 0, 0, 0}, 8},     /* loopback, RFC 1122 */
    {{169, 254, 0, 0}, 16},  /* link-local, RFC 3927: clouds' metadata services */
    {{172, 16, 0, 0}, 12},   /* private, RFC 1918 */
    {{192, 0, 0, 0}, 24},    /* IETF protocol assignments, RFC 6890 */
    {{192, 0, 2, 0}, 24},    /* documentation, RFC 5737 */
    {{192, 31, 196, 0}, 24}, /* AS112, RFC 7535 */
    {{192, 52, 193, 0}, 24}, /* AMT relays, RFC 7450 */
    {{192, 88, 99, 0}, 24},  /* 6to4 relays, RFC 7526 */
    {{192, 168, 0, 0}, 16},  /* private, RFC 1918 */
    {{192, 175, 48, 0}, 24}, /* AS112, RFC 7534 */
    {{198, 18, 0, 0}, 15},   /* benchmarking, RFC 2544 */
    {{198, 51, 100, 0}, 24}, /* documentation, RFC 5737 */
    {{203, 0, 113, 0}, 24},  /* documentation, RFC 5737 */
    {{224, 0, 0, 0}, 4},     /* multicast, RFC 5771 */
    {{240, 0, 0, 0}, 4},     /* reserved, RFC 1112, and limited broadcast, RFC 919 */
    /* Addresses that look public but that clouds reserve for their own guests. */
    {{168, 63, 129, 16}, 32}, /* Azure: agent, name server, health of load balancers */
    {{161, 26, 0, 0}, 16},    /* IBM Cloud: services of the infrastructure */
    {{166, 8, 0, 0}, 14},     /* IBM Cloud: private endpoints of services */
};

/* https://www.iana.org/assignments/iana-ipv6-special-registry, and RFC 4291 for multicast. */
static const ipv6_range_t ipv6_ranges[] = {
    {{0, 0, 0, 0, 0, 0, 0, 0}, 8},              /* unspecified, loopback, IPv4-compatible: RFC 4291;
                                                   IPv4-mapped, NAT64: RFC 6052, RFC 8215 */
    {{0x01, 0, 0, 0, 0, 0, 0, 0}, 64},          /* discard-only, RFC 6666 */
    {{0x01, 0, 0, 0, 0, 0, 0, 1}, 64},          /* dummy, RFC 9780 */
    {{0x20, 0x01, 0, 0, 0, 0, 0, 0}, 23},       /* IETF protocol assignments, RFC 2928: Teredo,
                                                   benchmarking, AMT, ORCHID, drone ids */
    {{0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0}, 32}, /* documentation, RFC 3849 */
    {{0x20, 0x02, 0, 0, 0, 0, 0, 0}, 16},       /* 6to4, RFC 3056 */
    {{0x26, 0x20, 0, 0x4f, 0x80, 0, 0, 0}, 48}, /* AS112, RFC 7534 */
    {{0x3f, 0xff, 0, 0, 0, 0, 0, 0}, 20},       /* documentation, RFC 9637 */
    {{0x5f, 0, 0, 0, 0, 0, 0, 0}, 16},          /* segment routing, RFC 9602 */
    {{0xfc, 0, 0, 0, 0, 0, 0, 0}, 7},           /* unique-local, RFC 4193 */
    {{0xfe, 0x80, 0, 0, 0, 0, 0, 0}, 10},       /* link-local, RFC 4291 */
    {{0xfe, 0xc0, 0, 0, 0, 0, 0, 0}, 10},       /* site-local, deprecated: RFC 3879 */
    {{0xff, 0, 0, 0, 0, 0, 0, 0}, 8},           /* multicast, RFC 4291 */
};

bool rh_prefix_equal(const unsigned char *bytes, const unsigned char *base, int bits)
{
    int whole = bits / 8, rest = bits % 8;

    return memcmp(bytes, base, (size_t)whole) == 0 &&
           (rest == 0 || ((bytes[whole] ^ base[whole]) >> (8 - rest)) == 0);
}

bool rh_special_ipv4(const unsigned char *bytes)
{
    for (size_t i = 0; i < RH_COUNT_OF(ipv4_ranges); i++) {
        if (rh_prefix_equal(bytes, ipv4_ranges[i].base, ipv4_ranges[i].bits)) {
            return true;
        }
    }
    return false;
}

bool rh_special_ipv6(const unsigned char *bytes)
{
    for (size_t i = 0; i < RH_COUNT_OF(ipv6_ranges); i++) {
        if (rh_prefix_equal(bytes, ipv6_ranges[i].base, ipv6_ranges[i].bits)) {
            return true;
        }
    }
    return false;
}
