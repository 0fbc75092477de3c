package resolver

import (
	"time"

	"github.com/iterdns/iterdns/dnssec"
)

// Limits bounds the work that one question may cause, sub-questions, retries and
// validation included. In each field zero means the default and a negative number
// no limit. An exceeded limit is a *LimitError naming the field.
type Limits struct {
	// Sends is how many queries one question may send to servers, TCP and retries
	// counted. Default 100: PowerDNS 50 to 100, BIND and Unbound 200; a cold
	// validated lookup takes fewer than 20.
	Sends int
	// Bytes is how many octets of replies one question may receive, of malformed ones
	// too. Default 256
	// KiB; PowerDNS 100,000.
	Bytes int
	// Time is how long one question may take. Default 10 s, as BIND and Knot.
	Time time.Duration
	// SendsPerServer is how often one question is sent to one address over one
	// transport. Default 3 (RFC 9520 §3.1).
	SendsPerServer int
	// FailedServerLookups is how many look-ups of name-server addresses may fail
	// for one question; as many again are tried when nothing else is left. Default
	// 5: Unbound, Knot and PowerDNS; the lever of NXNSAttack.
	FailedServerLookups int
	// AddressesPerServer is how many addresses of one name server are used.
	// Default 6 (BIND).
	AddressesPerServer int
	// Depth is how deep look-ups of name-server addresses may nest. Default 7
	// (BIND's max-recursion-depth).
	Depth int
	// Aliases is how long a chain of CNAME and DNAME records makes a question fail:
	// one that has this many is given up. Default 11 (Unbound and BIND); in practice
	// chains of content networks have up to 6.
	Aliases int
	// Minimised is how many minimised queries one name may take. Default 10 (RFC
	// 9156 §2.3).
	Minimised int
	// Referrals is how many referrals one question may follow. Default 40.
	Referrals int
	// Records is how many records one RRset may have. Default 256 (PowerDNS).
	Records int
	// SignatureChecks is how many signatures may be checked for one question.
	// Default 64.
	SignatureChecks int
	// FailedSignatureChecks is how many of them may fail. Default 16 (BIND).
	FailedSignatureChecks int
	// SignatureCost is what all of them together may cost, in units: an ECDSA
	// P-256 check is 1, P-384 10, RSA by size and exponent. Default 200.
	SignatureCost int
	// SignaturesPerRRset is how many signatures of one RRset are tried. Default 8
	// (Unbound): honest zones in the middle of a rollover have four.
	SignaturesPerRRset int
	// KeysPerTag is how many keys of a zone that share tag and algorithm are tried.
	// Default 2 (PowerDNS): tags are 16 bits of checksum, honest zones collide rarely.
	KeysPerTag int
	// DSPerZone is how many DS records of a zone are tried. Default 8 (PowerDNS).
	DSPerZone int
	// NSEC3Iterations is how many additional iterations NSEC3 records may ask for
	// before their zone counts as unsigned. Default 50 (RFC 9276 §3.2).
	NSEC3Iterations int
	// NSEC3Hashes is how many NSEC3 hashes may be computed for one question.
	// Default 600 (PowerDNS).
	NSEC3Hashes int
	// QueriesPerZone is how many queries may be under way to the servers of one
	// zone for all questions together; more wait. Default 200.
	QueriesPerZone int
	// QueriesPerServer is the same for one server address. Default 100.
	QueriesPerServer int
	// Questions is how many questions may be under way at once; more wait for one
	// to end. Default 10,000: each holds five goroutines and some 40 KiB. Of them a
	// quarter may wait to see whether a server that is held to be dead answers again.
	// When clients' messages (Exchange, ServeDNS) have to wait, the oldest of those under
	// way end with a LimitError after half a second, so that names below slow servers
	// cannot take all places; half of those of messages are for what may take longer.
	Questions int
	// Sockets is how many UDP sockets to servers may be open at once, one for each
	// query under way; more wait. A quarter of them is kept for servers that have
	// answered not long ago, within 400 ms, so that silent and slow ones cannot take all.
	// Default 1,000: many systems allow a process 1,024 descriptors. It says nothing to
	// an Options.Exchanger, and bounds the open connections of an Options.Dial.
	Sockets int
	// Connections is the same for TCP connections. Of the queries over them, those to
	// the servers of one zone may be a quarter of that many, so that servers that send an
	// octet a second cannot take all. Forwarders over TLS have as many of their own.
	// Default 200.
	Connections int
}

// quarter gives a quarter of a limit, at least one: what those who may be hostile get, or
// are kept out of.
func quarter(limit int) int { return max(1, limit/4) }

// validation gives the part of filled limits that is the validator's.
func (l *Limits) validation() dnssec.Limits {
	return dnssec.Limits{
		SignatureChecks:    l.SignatureChecks,
		FailedChecks:       l.FailedSignatureChecks,
		CostUnits:          l.SignatureCost,
		SignaturesPerRRset: l.SignaturesPerRRset,
		KeysPerTag:         l.KeysPerTag,
		DSPerZone:          l.DSPerZone,
		NSEC3Iterations:    l.NSEC3Iterations,
		NSEC3Hashes:        l.NSEC3Hashes,
	}
}
