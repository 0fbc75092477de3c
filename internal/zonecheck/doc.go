// Package zonecheck finds the zone that holds a name, and asks each server of a zone separately.
//
// In come a name, or a zone that was found and a question; out come a [Zone], with what its parent and what
// its own servers say about it, or the [Reply] of every address of every server. The package decides which
// zone holds a name, by referrals and by the SOA records of answers and denials (RFC 2308 §3), what is
// returned for a zone whose data is bogus or whose servers do not answer, which servers a zone has (RFC
// 9471, RFC 2181 §6.1), how often they may be asked the same question, and whether they agree.
//
// It never sends or reads a message on the network, and follows no referral: packages iterate and
// upstream do. It keeps nothing about the zones that it has found.
//
// Other resolvers have nothing like it; Zonemaster and the SOA loops of ACME clients do similar work.
package zonecheck
