// Package transport carries one DNS query to one server address and brings one
// reply back. It decides which socket, local port or TCP connection a query takes,
// and when a wait is over.
//
// In come a query in wire format, an address, "udp" or "tcp", and a check of each
// message that arrives; out comes the message that the check accepted, or an
// [Error]. [Transport.Send] does it in one call. Over UDP, [Transport.Begin] only sends,
// and [Pending.Await] waits, more than once if need be: a server that is late can still
// answer while another one is asked. The package never sends twice in a call, never looks into
// a message beyond its length and ID, and never chooses server, transport, EDNS options, cookies
// or letter case: the caller does, which also counts the queries.
//
// UDP follows RFC 5452 §9: each send has a socket of its own, connected to the
// server, on a port drawn uniformly from 1024-65535 with the cryptographic
// generator of the system. Datagrams that are no answer are dropped without
// ending or shortening the wait, and so is a report that the port is
// unreachable, since both can be forged. Packets are sent with DF where the
// system has that option (RFC 9715 §3). When the time of a wait is over, what lies in the
// socket's buffer is looked at before the reply counts as late: a host that has been starved of
// processor time does not blame the servers for it.
//
// On Linux the sockets are opened and read with plain system calls, and one of the goroutines
// that wait watches an epoll descriptor for all. Elsewhere, and with [Options.Dial], package net does it.
//
// TCP follows RFC 7766 and RFC 9210: connections are reused, several queries are
// under way on one of them, answers come in any order, and a connection that the
// server has closed meanwhile is told apart from a server that is down ([ErrStale]).
//
// # Limitations
//
// Except on Linux, each wait for a datagram holds a read buffer of 65,535 bytes; only as much
// of it is touched as the largest datagram that came had bytes.
//
// DF is set on Linux, Android, macOS, iOS, FreeBSD and Windows. On Windows no refused port
// is reported, since package net turns such reports off there.
//
// Fragmented datagrams are put together by the system and cannot be recognised.
package transport
