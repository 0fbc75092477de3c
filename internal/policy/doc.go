// Package policy decides at which addresses no server is asked (do-not-query), and which
// addresses an answer may have (rebinding protection).
//
// In come addresses, RRsets and answers; out come judgements, and what is left of an answer. All
// of it is tables and pure functions: the package never sends, waits, or looks into the cache.
//
// Unbound's words are do-not-query-address and private-address; Knot Resolver's is
// rebinding protection (modules/rebinding).
package policy
