// Package anchorkeeper follows the rollovers of trust anchors (RFC 5011) while a resolver runs.
//
// In come the anchors of the options, a store of what was known before, and the DNSKEY RRsets of
// the zones that have anchors; out come the anchors to validate with, and the states to store.
// The package decides when a zone is asked for its keys (RFC 5011 §2.3), which of two states
// counts when memory, the store and the options disagree, and what is trusted when no key is left.
//
// What is trusted is never more than the state machine of package dnssec has let in, and never a
// key that was seen revoked by this process or by one that shares the store. A store that fails
// stops nothing: the states in memory go on, and are stored as soon as that works. A state that
// cannot be read is never replaced.
//
// It never asks a server or judges a signature: packages iterate and dnssec do.
//
// Unbound's word is autotrust (validator/autotrust.c); Knot Resolver's module is ta_update.
package anchorkeeper
