// Package iterate finds the answer to one question by the three loops of RFC 1034 §5.3.3:
// the name changes from alias to alias (Search), the zone cut from referral to referral (walk),
// the server from address to address (zoneQuery).
//
// In comes a question with its state, a [QueryState], which has the budget; out comes an
// answer with its DNSSEC status and TTL, or an error. The package decides where a walk begins,
// what a reply to a minimised query means (RFC 9156 §3), when a second server is asked beside the
// first, when name servers' addresses are looked up (RFC 9471), and what of an answer is kept
// in the cache and for how long (RFC 2181 §5.4.1, RFC 2308 §5, RFC 8767 §4). It fetches the
// keys and DS records that package dnssec needs, beside the walk, and asks again when an answer
// is bogus. It primes the root (RFC 9609), reads and writes the second level, remembers
// failures (RFC 9520), and finds out whether a forwarder leads back to us. It asks package
// localzone before the cache.
//
// It never makes, sends or reads a message on the network: package upstream does. It does not
// decide which questions of clients are worked on: package mesh does.
//
// Unbound's words are iterator, validator and, for the second level, cachedb; Knot Resolver's
// are the layers iterate, validate and cache.
package iterate
