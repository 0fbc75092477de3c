package resolver

import (
	"time"

	"github.com/iterdns/iterdns/internal/limits"
)

// Limits bounds the work that one question may cause, including its sub-questions, retries
// and validation. In each field zero means the default and a negative number no limit.
// Reaching a limit ends in a *LimitError that names the field, except for those that leave
// something out instead (AddressesPerServer, Minimised, NSEC3Iterations).
type Limits struct {
	// Sends is how many queries one question may send to servers, retries and TCP included.
	// Default 100: PowerDNS has 50 to 100, BIND and Unbound 200; a cold validated look-up
	// takes fewer than 20.
	Sends int
	// Bytes is how many bytes of replies one question may receive, malformed ones included.
	// Default 256 KiB; PowerDNS has 100,000.
	Bytes int
	// Time is how long one question may take. Default 10 s, as in BIND and Knot Resolver.
	Time time.Duration
	// SendsPerServer is how often one question is sent to one address over one transport.
	// Default 3 (RFC 9520 §3.1).
	SendsPerServer int
	// FailedServerLookups is how many look-ups of name-server addresses may fail for one
	// question; as many again are tried when nothing else is left. It bounds NXNSAttack.
	// Default 5, as in Unbound, Knot Resolver and PowerDNS.
	FailedServerLookups int
	// AddressesPerServer is how many addresses of one name server are used.
	// Default 6 (BIND).
	AddressesPerServer int
	// Depth is how deep look-ups of name-server addresses may nest. Default 7
	// (BIND's max-recursion-depth).
	Depth int
	// Aliases is the number of CNAME and DNAME records in a chain at which a question
	// fails. Default 11, as in Unbound and BIND; chains of content networks have up to 6.
	Aliases int
	// Minimised is how many minimised queries one name may take; then the full name is
	// asked. Default 10 (RFC 9156 §2.3).
	Minimised int
	// Referrals is how many referrals one question may follow. Default 40.
	Referrals int
	// Records is how many records one RRset may have. Default 256 (PowerDNS).
	Records int
	// SignatureChecks is how many signatures may be checked for one question. One that was
	// good before is remembered and not checked again. Default 64.
	SignatureChecks int
	// FailedSignatureChecks is how many of them may fail. Default 16 (BIND).
	FailedSignatureChecks int
	// SignatureCost is how much the signature checks of one question may cost together, in
	// units: an ECDSA P-256 check is 1, P-384 10, RSA by size and exponent. Default 200.
	SignatureCost int
	// SignaturesPerRRset is how many signatures of one RRset are tried. Default 8, as in
	// Unbound: honest zones in the middle of a rollover have four.
	SignaturesPerRRset int
	// KeysPerTag is how many keys of a zone that share tag and algorithm are tried. Default
	// 2, as in PowerDNS: tags are 16 bits of checksum, which rarely collide in honest
	// zones.
	KeysPerTag int
	// DSPerZone is how many DS records of a zone are tried. Default 8 (PowerDNS).
	DSPerZone int
	// NSEC3Iterations is how many additional iterations NSEC3 records may ask for before
	// their zone counts as unsigned. Default 50 (RFC 9276 §3.2).
	NSEC3Iterations int
	// NSEC3Hashes is how many NSEC3 hashes may be computed for one question.
	// Default 600 (PowerDNS).
	NSEC3Hashes int
	// QueriesPerZone is how many queries may be under way to the servers of one zone for
	// all questions together; further ones wait. Default 200.
	QueriesPerZone int
	// QueriesPerServer is the same for one server address. Default 100.
	QueriesPerServer int
	// Questions is how many questions may be under way at once; further ones wait. Default
	// 10,000: each holds one goroutine or two and some 16 KiB. A quarter of them may wait to see
	// whether a server that is marked down is up again. When clients' messages (Exchange,
	// ServeDNS) have to wait, the oldest of those under way are shed: they end with a
	// LimitError after half a second, so that names below slow servers cannot take all
	// slots; half of the messages' slots are left to questions that take longer.
	Questions int
	// Sockets is how many UDP sockets to servers may be open at once, one for each query
	// under way; further queries wait. A quarter of them is kept for servers that have
	// answered recently, within 400 ms, so that silent and slow ones cannot take all.
	// Default 1,000: many systems allow a process 1,024 descriptors. It does not apply to
	// an Options.Exchanger, and bounds the open connections of an Options.Dial.
	Sockets int
	// Connections is the same for TCP connections. Queries to the servers of one zone may
	// use a quarter of them, so that servers that send a byte a second cannot take all.
	// Forwarders over TLS have as many of their own. Default 200.
	Connections int
}

// LimitError is the error of a question that needed more work than its Limits allow, or
// that got only replies beyond the bounds of messages.
type LimitError struct {
	// Limit is the name of the field of Limits, or of a bound of messages: MessageRecords
	// (records of a message), MessageNames (bytes of its names, uncompressed), NamePointers
	// (compression pointers in one name) or EDNSOptions.
	Limit string
	Value int // the value of the limit; for Time in milliseconds
}

func (e *LimitError) Error() string { return (*limits.Error)(e).Error() }
