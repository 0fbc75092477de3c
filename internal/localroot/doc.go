// Package localroot keeps a copy of the root zone that answers instead of the root servers (RFC 8806), and
// decides whether a copy may be used.
//
// In come sources (a file, a text, servers that allow AXFR, RFC 5936), trust anchors and clocks; out come
// replies as a root server would send them, made from the copy. A copy is used only if its ZONEMD record
// (RFC 8976) and the signatures over it, over the SOA and over the DNSKEY RRset are valid; it is refreshed
// by the timers of its SOA, and no longer used when these, or its signatures, have expired.
//
// It decides nothing about names: package iterate handles the replies like those from the network, and asks
// the root servers when there is no copy.
//
// Unbound calls this auth-zone with for-upstream; Knot Resolver prefill and rfc8806.
package localroot
