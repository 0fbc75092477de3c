// Package answer has the one form of a question and of its answer, wherever that comes from:
// servers, the cache, the second level or a local zone.
//
// In come RRsets and aliases; out come the parts of an alias chain joined (RFC 1034 §3.6.2,
// RFC 6672 §3.1), the response code that they imply (RFC 6604 §3), TTLs within what signatures
// allow (RFC 4035 §5.3.3), the form that the validator takes, and records as miekg/dns has
// them. [Kind] names what a response is (RFC 2308 §2).
//
// It never decides whether an answer is true or how long it is kept, and asks nobody.
//
// Unbound's words are query_info and dns_msg, and response type for the kind; Knot
// Resolver's are kr_query and the ranked array of its records.
package answer
