/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/**
 * @file rh_egress.h
 * @brief Egress policy: which addresses a target may have.
 *
 * Default: only public unicast addresses. Everything in the IANA special-purpose registries
 * (RFC 6890: loopback, private, link-local, shared, documentation, benchmarking, multicast,
 * reserved, unique-local, …) is denied, as are the addresses that clouds keep for their guests
 * (Azure's 168.63.129.16); addresses that embed IPv4 (IPv4-mapped ::ffff:0:0/96,
 * IPv4-compatible ::/96, NAT64 64:ff9b::/96 and 64:ff9b:1::/48, 6to4 2002::/16, Teredo 2001::/32)
 * are judged by the embedded address as well. Allow rules allow what they name, deny rules deny it;
 * a deny rule takes precedence.
 */
#ifndef RH_EGRESS_H
#define RH_EGRESS_H

#include "rh_address.h"

typedef struct rh_egress_policy_t rh_egress_policy_t;

/** Make a policy without rules of its own, in `pool`. */
rh_egress_policy_t *rh_egress_make(apr_pool_t *pool);

/**
 * Add a rule: an address, a CIDR block ("10.0.0.0/8", "fd00::/8"; host bits must be zero), a
 * host name (exact, case-insensitive), or ".example.com" / "*.example.com" for every host below it.
 * A host rule allows that name whatever its address; a deny rule for a host refuses the name.
 * @return NULL, or why it is not a rule (static or in the policy's pool)
 */
const char *rh_egress_add(rh_egress_policy_t *policy, bool allow, const char *rule);

/**
 * True if a connection to this address, for a target of this host name, is allowed. Thread-safe.
 * @param policy NULL: no rules
 * @param host a name or literal address; NULL: none
 * @param address NULL: not known yet; then true only if a rule allows the host whatever its address
 */
bool rh_egress_allows(const rh_egress_policy_t *policy, const char *host,
                      const rh_address_t *address);

/**
 * True if an allow rule names this host or this very address (an IPv4-mapped one in its IPv4 form).
 * Thread-safe.
 * @param address NULL: only the host is compared
 */
bool rh_egress_names(const rh_egress_policy_t *policy, const char *host,
                     const rh_address_t *address);

/** True if a deny rule refuses this host by its name, whatever its address. Thread-safe. */
bool rh_egress_denies_host(const rh_egress_policy_t *policy, const char *host);

#endif
