// Package serve decides what a client gets around an answer, and in which order: the
// server cookie (RFC 7873, RFC 9018) and the order of the records of an RRset.
//
// In come the query and the reply as miekg/dns has them, the client's address and the time;
// the reply goes out changed. The package never resolves, sends, waits or reads a clock
// other than the one it was made with.
package serve
