// Package policy decides which names are answered here and never asked for (local zones,
// special-use names), at which addresses no server is asked (do-not-query), and which
// addresses an answer may have (rebinding protection).
//
// In come names, types, addresses and RRsets; out go judgements, and the RRsets of the names
// that are answered here. All of it is tables and pure functions: the package never sends,
// waits, or looks into the cache.
package policy
