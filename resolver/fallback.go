package resolver

import (
	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/internal/infra"
)

// ednsUse is how much of EDNS a query has. Each asks less of a server than the one before.
type ednsUse uint8

const (
	ednsCookie ednsUse = iota // DO, and a cookie as its one option
	ednsBare                  // DO, and no option
	ednsNone                  // no OPT record
)

// queryForm is the way in which a server is asked.
type queryForm struct {
	network  string // "udp" or "tcp"
	edns     ednsUse
	case0x20 bool // the letters of the name are mixed
}

// firstForm returns the way in which a server is asked that f is known of. Without EDNS
// no signatures come, so that a signed zone's servers are never asked so.
func firstForm(network string, known infra.Features, mixCase, signed bool) queryForm {
	f := queryForm{network: network, case0x20: mixCase && !known.NoCase}
	switch {
	case known.NoEDNS && !signed:
		f.edns = ednsNone
	case known.NoEDNS, known.NoOption, network == "tcp": // nobody forges what comes over TCP
		f.edns = ednsBare
	}
	return f
}

// plain returns the way that least servers stumble over: no EDNS option, no mixed letters.
// EDNS stays: that it is of no use is learnt from replies only (RFC 6891 §6.2.2).
func (f queryForm) plain() queryForm {
	f.edns, f.case0x20 = max(f.edns, ednsBare), false
	return f
}

// queryFault is what came of a query and is a reason to ask the same server in another way.
type queryFault uint8

const (
	faultTruncated  queryFault = iota // the reply did not fit
	faultForged                       // it was right but for the ID, or nothing came but packets that are no replies
	faultCase                         // it was right but for the letter case
	faultCookie                       // it did not show the cookie of a server that has one
	faultBadCookie                    // the server wants to be shown its cookie
	faultRefused                      // FORMERR, NOTIMP or BADVERS: it may be EDNS that is refused
	faultConnection                   // the connection that was reused had been closed
)

// queryFaults is how many there are.
const queryFaults = int(faultConnection) + 1

// fallbackBounds is what forbids ways of asking.
type fallbackBounds struct {
	signed bool // the zone is known to be signed: without EDNS its answers are bogus
	folds  bool // the server has changed the letter case of questions before
	// settled is set when it is known to be the question that is refused, not EDNS.
	questionRefused bool
	plainRetry      bool // the last resort: one send, and TCP if its reply is truncated
	noTCP           bool // TCP has been of no use for this question
}

// after returns the way in which the same server is asked after something went wrong for
// the times-th time, and why. It is not ok when no other way is left.
func (f queryForm) after(what queryFault, times int, r fallbackBounds) (next queryForm, why queryReason, ok bool) {
	if r.forbids(what, times) {
		return f, reasonNone, false
	}
	switch what {
	case faultTruncated:
		return f.overTCP(ednsBare), reasonTruncated, true
	case faultForged:
		return f.overTCP(ednsBare), reasonSpoofed, true
	case faultCase:
		return f.afterCase(times, r), reasonCase, true
	case faultCookie:
		return f.overTCP(ednsCookie), reasonCookie, true // to see whether it still sends one
	case faultBadCookie:
		return f.afterBadCookie(times), reasonCookie, true
	case faultRefused:
		return f.afterRefusal(r)
	case faultConnection:
		return f, reasonConnection, true
	}
	return f, reasonNone, false
}

// forbids reports whether nothing is to follow from what went wrong.
func (r fallbackBounds) forbids(what queryFault, times int) bool {
	switch what {
	case faultTruncated, faultConnection:
		return false
	case faultForged, faultCookie:
		return r.plainRetry || r.noTCP
	case faultCase:
		return r.plainRetry || r.noTCP && times > 1
	case faultBadCookie, faultRefused:
	}
	return r.plainRetry
}

// overTCP returns the same way over TCP, with no more of EDNS than most.
func (f queryForm) overTCP(most ednsUse) queryForm {
	f.network, f.edns = "tcp", max(f.edns, most)
	return f
}

// afterCase: one reply in another letter case may be an attacker's, unless the server is
// known for it.
func (f queryForm) afterCase(times int, r fallbackBounds) queryForm {
	switch {
	case times > 1:
		return f.overTCP(ednsBare)
	case r.folds:
		f.case0x20 = false
	}
	return f
}

// afterBadCookie: the reply had the cookie to be shown (RFC 7873 §5.3).
func (f queryForm) afterBadCookie(times int) queryForm {
	if times > 1 || f.network == "tcp" {
		return f.overTCP(ednsBare)
	}
	return f
}

// afterRefusal goes down a step. Each one is a query of its own from another port, so that
// nobody who has guessed one of them has EDNS given up. The last one is without mixed letters
// too, as some servers answer these with such an error.
func (f queryForm) afterRefusal(r fallbackBounds) (queryForm, queryReason, bool) {
	switch {
	case r.questionRefused:
		return f, reasonNone, false
	case f.edns == ednsCookie:
		f.edns = ednsBare
		return f, reasonNoOption, true
	case f.edns == ednsBare && !r.signed:
		f.edns, f.case0x20 = ednsNone, false
		return f, reasonNoEDNS, true
	}
	return f, reasonNone, false
}

// refusesEDNS reports whether a response code is what servers answer that do not know EDNS
// (RFC 6891 §7), its version, or an option that they should ignore (§6.1.2).
func refusesEDNS(rcode int) bool {
	return rcode == dns.RcodeFormatError || rcode == dns.RcodeNotImplemented || rcode == dns.RcodeBadVers
}
