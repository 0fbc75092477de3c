// Package cache decides what a resolver keeps, for how long, which data replaces which,
// and what is evicted.
//
// It takes RRsets, negative answers, alias chains, failures and delegations, each with
// TTL, rank, security status and class of trust, and the time; it returns those that have
// not expired, and answers made from denials. It never queries, validates, reads a clock
// ([Cache.ReadFrom] aside), runs in the background, or calls out under a lock. It can be
// used without the resolver.
//
// A [Cache] bounds the memory; it is used through a [View]. The class of trust keeps data
// that was not validated apart from the rest.
//
// An entry is one packed string, laid out in entry.go, in a shard of three
// least-recently-used lists: answers used once, denials and failures used once, and
// entries used again. A flood of names that are asked once can therefore evict only
// entries of its kind, and a flood of names that do not exist evicts no answer: beyond a
// twentieth of the shard, denials are evicted before anything else. Delegations, the
// DNSKEY and DS RRsets that validation needs, and the NSEC and NSEC3 records that deny
// more than one name have budgets of their own, and so has the table of hashes of names
// that are known to be no zone cut.
//
// A resolver asks in this order: Get, GetChain, GetNegative, Synthesise, GetBrief,
// GetFailure, and GetCut for where to go; when no server answers, GetStale. [View.Find] does
// all of it but the last in one call, and [View.AppendReply] the first three for one message,
// without decoding anything. Most look-ups find nothing; the counts of entries at each name,
// in presence.go, show that without a search.
//
// It follows RFC 2181 §5.2 and §5.4.1 (TTLs and ranks), RFC 2308 (negative
// answers), RFC 8020 (what an NXDOMAIN says about names below), RFC 8198 and 9077
// (aggressive use of denials), RFC 8767 (values of TTLs, stale data), RFC 9520
// (failures).
//
// # Limitations
//
// Only class IN is held. Names that a resolver answers from elsewhere (local zones,
// stub and forward zones) must be looked up there first: a denial of a name above may
// hide them here. Shares of the memory are fixed: one kind of entry cannot use the unused
// share of another. A flood of names that are each asked twice looks like use, and is met
// by least-recently-used order alone. A snapshot is not authenticated: a program that can
// write the file can write the cache.
package cache
