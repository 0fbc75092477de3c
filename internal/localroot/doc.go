// Package localroot keeps a copy of the root zone that answers in the place of the root servers
// (RFC 8806), and decides whether a copy may be used.
//
// In come sources (a file, a text, servers that allow AXFR, RFC 5936), trust anchors and clocks;
// out come replies as a root server would send them, made of the copy. A copy is used only if its
// ZONEMD record (RFC 8976) and the signatures over it, over the SOA and over the DNSKEY RRset are
// right; it is asked for again by the timers of its SOA, and no longer used when these, or its
// signatures, say that it has expired.
//
// It never decides about a name: package iterate handles the replies as those from the network,
// and asks the root servers where there is none.
//
// Unbound's word is auth-zone with for-upstream; Knot Resolver's are prefill and rfc8806.
package localroot
