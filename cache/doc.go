// Package cache holds what a resolver has learnt: RRsets, negative answers,
// failures, and the delegations that lead from zone to zone. It stands on its own
// and can be used without the resolver.
//
// Everything has an age, a rank and a security status. Time comes in as an
// argument; nothing here runs in the background, waits, or calls out under a lock.
// An entry is one packed string, laid out in entry.go, in a shard of two
// least-recently-used lists: what was asked once, and what was asked again. A flood
// of names that are asked once can therefore only push out its like. Delegations,
// and the DNSKEY and DS RRsets that validation lives on, have budgets of their own.
//
// It follows RFC 2181 §5.2 and §5.4.1 (TTLs and ranks), RFC 2308 (negative
// answers), RFC 8020 (what an NXDOMAIN says about names below), RFC 8767 §4 (values
// of TTLs), RFC 9520 (failures).
//
// # Limitations
//
// Only class IN is held. A snapshot is not authenticated: who can write the file
// can write the cache.
package cache
