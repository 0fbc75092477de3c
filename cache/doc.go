// Package cache holds what a resolver has learnt: RRsets, negative answers, alias
// chains, failures, and the delegations that lead from zone to zone. It stands on its
// own and can be used without the resolver.
//
// A Cache bounds the memory; a View of it is what is used. Everything has an age, a
// rank and a security status, and a class of trust that keeps what nobody validated
// apart from the rest. Time comes in as an argument; nothing here runs in the
// background, waits, or calls out under a lock.
//
// An entry is one packed string, laid out in entry.go, in a shard of three
// least-recently-used lists: answers that were asked for once, denials and failures
// that were, and what was asked for again. A flood of names that are asked once can
// therefore only push out its like, and one of names that do not exist no answer at
// all: beyond a twentieth of the shard denials leave before anything else. Delegations,
// the DNSKEY and DS RRsets that validation lives on, and the NSEC and NSEC3 records
// that deny more than they were asked for have budgets of their own, and so has what is
// known of names at which there is no zone cut, which is a table of hashes.
//
// A resolver asks in this order: Get, GetChain, GetNegative, Synthesise, GetBrief,
// GetFailure, and GetCut for where to go; when nobody answers, GetStale. AppendReply does the
// first three of them for one message, without decoding anything.
//
// It follows RFC 2181 §5.2 and §5.4.1 (TTLs and ranks), RFC 2308 (negative
// answers), RFC 8020 (what an NXDOMAIN says about names below), RFC 8198 and 9077
// (aggressive use of denials), RFC 8767 (values of TTLs, stale data), RFC 9520
// (failures).
//
// # Limitations
//
// Only class IN is held. Names that a resolver answers from elsewhere (local zones,
// stub and forward zones) are not its business: a denial of a name above may hide
// them, so ask there first. Shares of the memory are fixed, so that what one sort of
// entry does not use lies idle. A flood of names that are each asked twice looks like
// use, and is met by least-recently-used order alone. A snapshot is not authenticated:
// who can write the file can write the cache.
package cache
