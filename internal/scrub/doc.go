// Package scrub takes from a response what its sender may say, and nothing else.
//
// It is an allow list. From a server of one zone, asked one question, it takes: the
// RRset that answers the question; the CNAME and DNAME records that lead on from
// the name asked, in order, while their owner is inside the zone; the SOA, NSEC and
// NSEC3 records of a denial; the NS and DS records of one delegation strictly below
// the zone and at or above the name; address records as candidates for that
// delegation's glue. ApexNS alone takes more: NS records of the zone itself, for a last resort.
// Whatever else a response holds - the target of an alias, NS
// records beside an answer, additional data - does not exist for us: its owner's
// own zone is asked when it is needed (RFC 2181 §5.4.1, RFC 5452 §6).
package scrub
