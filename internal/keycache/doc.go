// Package keycache keeps the validated keys and delegations of zones, so that the chain of
// trust is not followed again for every answer (RFC 4035 §4.5).
//
// In come what a validation has proven and the time; out comes the evidence that the next one
// starts with, whether a zone is proven to be signed, and whether keys may be fetched again or
// servers asked again after a bogus answer (RFC 8901 §3). Zones are kept apart by view. All of
// it expires and is bounded, keys and delegations in bytes too. That a signature is good is
// remembered as well: it is computed once, however often the RRset comes again.
//
// It never validates or fetches: packages dnssec and iterate do.
//
// The word is Unbound's key cache (validator/val_kcache.c); Knot Resolver has the keys in its
// cache of records.
package keycache
