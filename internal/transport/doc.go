// Package transport carries one DNS query to one server address and brings one
// reply back. It sends once a call: which server, how often, over which
// transport, with which EDNS options, cookies and letter case is decided above
// it, by the caller who also counts what is spent.
//
// UDP follows RFC 5452 §9: each send has a socket of its own, connected to the
// server, on a port drawn uniformly from 1024-65535 with the cryptographic
// generator of the system. Datagrams that are no answer are dropped without
// ending or shortening the wait, and so is a report that the port is
// unreachable, since both can be forged. Packets are sent with DF where the
// system knows it (RFC 9715 §3).
//
// TCP follows RFC 7766 and RFC 9210: connections are reused, several queries are
// under way on one of them, answers come in any order, and a connection that the
// server has closed meanwhile is told apart from a server that is gone (ErrStale).
//
// # Limitations
//
// Each UDP send under way holds a read buffer of 65,535 bytes, of which the
// memory touched is as large as the largest datagram that came.
//
// DF is set on Linux, Android, macOS, iOS, FreeBSD and Windows. On Windows no refused port
// is reported, since package net turns such reports off there.
//
// Fragmented datagrams are put together by the system and cannot be recognised.
package transport
