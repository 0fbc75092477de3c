// Package serve makes the reply to a query that is a message: what a client gets around an
// answer, and in which order.
//
// In come queries, as miekg/dns has them or in wire format, with the address of their client;
// out go replies. The package decides which queries are refused (RFC 9619, RFC 6891 §6.1,
// RFC 6895 §3.1), the response code, the AD bit and the DNSSEC records of a reply (RFC 4035
// §3.2, RFC 6840 §5.7-5.9, RFC 9824 §5), its extended errors (RFC 8914), server cookie (RFC
// 7873, RFC 9018), NSID (RFC 5001), padding (RFC 8467), size over UDP (RFC 9715) and order of
// records (RFC 1794), which hits are sent as the cache has them, and when a denial is held
// back because package net would take it for "no such host".
//
// It never decides what the answer is: package mesh does. It never sends to a server, and has
// no sockets: its callers listen.
//
// Unbound's word is worker (daemon/worker.c); Knot Resolver's too.
package serve
