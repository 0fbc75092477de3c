// Package transport carries one DNS query to one server address and brings one
// reply back. It decides which socket, local port or TCP connection a query takes,
// and when a wait is over.
//
// In come a query in wire format, an address, "udp" or "tcp", and a check of each
// message that arrives; out comes the message that the check accepted, or an
// [Error]. It never sends twice in a call, never looks into a message beyond its
// length and ID, and never chooses server, transport, EDNS options, cookies or letter case: the
// caller does, which also counts the queries.
//
// UDP follows RFC 5452 §9: each send has a socket of its own, connected to the
// server, on a port drawn uniformly from 1024-65535 with the cryptographic
// generator of the system. Datagrams that are no answer are dropped without
// ending or shortening the wait, and so is a report that the port is
// unreachable, since both can be forged. Packets are sent with DF where the
// system has that option (RFC 9715 §3).
//
// TCP follows RFC 7766 and RFC 9210: connections are reused, several queries are
// under way on one of them, answers come in any order, and a connection that the
// server has closed meanwhile is told apart from a server that is down ([ErrStale]).
//
// # Limitations
//
// Each UDP send under way holds a read buffer of 65,535 bytes; only as much of it
// is touched as the largest datagram that came had bytes.
//
// DF is set on Linux, Android, macOS, iOS, FreeBSD and Windows. On Windows no refused port
// is reported, since package net turns such reports off there.
//
// Fragmented datagrams are put together by the system and cannot be recognised.
package transport
