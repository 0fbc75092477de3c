// Package anchorkeeper follows the rollovers of trust anchors (RFC 5011) while a resolver runs.
//
// In come the anchors of the options, a store of earlier states, and the DNSKEY RRsets of the zones that
// have anchors, both those that it asks for and those that validation receives; out come the anchors to
// validate with, and the states to store. The package decides when a zone is asked for its keys (RFC 5011
// §2.3), what of the keys seen otherwise counts, which of two states counts when memory, the store and the
// options disagree, and what is trusted when no key is left.
//
// It trusts only keys that the state machine of package dnssec has accepted, and never a key that this
// process, or one that shares the store, has seen revoked. A failing store stops nothing: the states in
// memory stay in use, and are stored as soon as that works. A state that cannot be read is never replaced.
//
// It never asks a server or checks a signature: packages iterate and dnssec do.
//
// Unbound calls this autotrust (validator/autotrust.c); Knot Resolver's module is ta_update.
package anchorkeeper
