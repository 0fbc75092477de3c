// Package scrub decides which records of a response its sender may speak for.
//
// In come a parsed message and what was [Asked] of a server of which zone; out comes a
// [Reply] with the records kept, or why the answer is unusable. It never decides what
// kind of response it is, follows an alias out of the zone, or validates.
//
// It is an allow list. From a server of one zone, asked one question, it keeps: the
// RRset that answers the question; the CNAME and DNAME records that lead on from
// the name asked, in order, while their owner is inside the zone; the SOA, NSEC and
// NSEC3 records of a denial; the NS and DS records of one delegation strictly below
// the zone and at or above the name; address records as candidates for that
// delegation's glue. [ApexNS] alone takes more: NS records of the zone itself, for a
// last resort. All other records of a response (the target of an alias, NS records
// beside an answer, additional data) are dropped: the owner's own zone is asked when
// they are needed (RFC 2181 §5.4.1, RFC 5452 §6).
package scrub
