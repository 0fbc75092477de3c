// Package events says what the engine tells of its work on a question: each query and
// response, referral, alias, verdict, look-up of a name server, and what the cache knew.
//
// In come the calls of the engine, with values that it has anyway; out comes nothing. A
// [Sink] decides who hears of them: package resolver implements it for the Trace of each
// caller.
//
// The package decides nothing, and no decision depends on an event.
//
// Unbound's word is verbosity 4, the logs of the algorithm; Knot Resolver's is request trace
// (kr_request.trace_log).
package events
