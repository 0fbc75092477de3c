// Package localzone answers the questions that are answered here and never asked of a server:
// those for names in local zones, and for special-use names (RFC 6761, RFC 6303).
//
// In come local zones as RRsets, and questions; out come answers, with the TTLs and the SOA that a
// denial needs (RFC 2308 §3), or that the question is none of these. The package decides which
// zone answers, what its wildcards and aliases lead to (RFC 1034 §4.3.2 step 3, RFC 4592, RFC
// 6672), and which names are special and how each is answered. A [Table] holds the zones while
// they are replaced; everything else is tables and pure functions.
//
// It never sends, waits, or looks into the cache. Package iterate decides when servers of a route
// are asked about a special-use name, and package resolver what records a local zone may have.
//
// Unbound's words are localzone (services/localzone.c) and local-data; Knot Resolver's are
// local-data, and policy.special_names for special-use names.
package localzone
