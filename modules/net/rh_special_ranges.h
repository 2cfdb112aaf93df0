/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/**
 * @file rh_special_ranges.h
 * @brief IANA's special-purpose address registries (RFC 6890, RFC 8190), multicast, and addresses
 * of cloud platforms.
 *
 * Every block of the registries counts, those too that are "globally reachable": anycast relays
 * and name-server sinks are not webhook receivers. The platforms' other addresses (metadata
 * services: 169.254.169.254, 100.100.100.200, 192.0.0.192, fd00:ec2::254, ...) are in these blocks.
 */
#ifndef RH_SPECIAL_RANGES_H
#define RH_SPECIAL_RANGES_H

#include "rh_base.h"

/** True if the first `bits` of the bytes are those of `base`. */
bool rh_prefix_equal(const unsigned char *bytes, const unsigned char *base, int bits);

/** True if the IPv4 address, 4 bytes in network order, is in one of the ranges. */
bool rh_special_ipv4(const unsigned char *bytes);

/** True if the IPv6 address, 16 bytes, is in one of the ranges. */
bool rh_special_ipv6(const unsigned char *bytes);

#endif
