// Package failure decides what an error means for what comes next.
//
// In comes an error with all that it wraps; out comes a [Failure], the kinds of what went
// wrong and their traits: whether it is remembered (RFC 9520), whether an expired answer is
// returned instead (RFC 8767 §4), whether the flight's other callers try again, which extended
// error explains it (RFC 8914), and how Stats counts it. The errors that every part of the
// engine makes are here too, as are the sentinels that package resolver exports.
//
// It never logs, retries, or returns an error to a client.
//
// Unbound's words are the SERVFAIL reason (errinf) and the extended errors of
// sldns_ede_code; Knot Resolver's is kr_request_set_extended_error.
package failure
