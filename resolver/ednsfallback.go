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

// manner is the way in which a server is asked.
type manner struct {
	network  string // "udp" or "tcp"
	edns     ednsUse
	case0x20 bool // the letters of the name are mixed
}

// firstManner returns the way in which a server is asked that f is known of. Without EDNS
// no signatures come, so that a signed zone's servers are never asked so.
func firstManner(network string, f infra.Features, mixCase, signed bool) manner {
	m := manner{network: network, case0x20: mixCase && !f.NoCase}
	switch {
	case f.NoEDNS && !signed:
		m.edns = ednsNone
	case f.NoEDNS, f.NoOption, network == "tcp": // nobody forges what comes over TCP
		m.edns = ednsBare
	}
	return m
}

// plain returns the way that least servers stumble over: no EDNS option, no mixed letters.
// EDNS stays: that it is of no use is learnt from replies only (RFC 6891 §6.2.2).
func (m manner) plain() manner {
	m.edns, m.case0x20 = max(m.edns, ednsBare), false
	return m
}

// trouble is what came of a query and is a reason to ask the same server in another way.
type trouble uint8

const (
	troubleTruncated  trouble = iota // the reply did not fit
	troubleForged                    // it was right but for the ID, or nothing came but packets that are no replies
	troubleCase                      // it was right but for the letter case
	troubleCookie                    // it did not show the cookie of a server that has one
	troubleBadCookie                 // the server wants to be shown its cookie
	troubleRefused                   // FORMERR, NOTIMP or BADVERS: it may be EDNS that is refused
	troubleConnection                // the connection that was reused had been closed
)

// troubles is how many there are.
const troubles = int(troubleConnection) + 1

// restraint is what forbids ways of asking.
type restraint struct {
	signed bool // the zone is known to be signed: without EDNS its answers are bogus
	folds  bool // the server has changed the letter case of questions before
	// settled is set when it is known to be the question that is refused, not EDNS.
	settled bool
	last    bool // the last resort: one send, and TCP if its reply is truncated
	noTCP   bool // TCP has been of no use for this question
}

// after returns the way in which the same server is asked after something went wrong for
// the times-th time, and why. It is not ok when no other way is left.
func (m manner) after(what trouble, times int, r restraint) (next manner, why QueryReason, ok bool) {
	if r.forbids(what, times) {
		return m, "", false
	}
	switch what {
	case troubleTruncated:
		return m.overTCP(ednsBare), ReasonTruncated, true
	case troubleForged:
		return m.overTCP(ednsBare), ReasonSpoofed, true
	case troubleCase:
		return m.afterCase(times, r), ReasonCase, true
	case troubleCookie:
		return m.overTCP(ednsCookie), ReasonCookie, true // to see whether it still sends one
	case troubleBadCookie:
		return m.afterBadCookie(times), ReasonCookie, true
	case troubleRefused:
		return m.afterRefusal(r)
	case troubleConnection:
		return m, ReasonConnection, true
	}
	return m, "", false
}

// forbids reports whether nothing is to follow from what went wrong.
func (r restraint) forbids(what trouble, times int) bool {
	switch what {
	case troubleTruncated, troubleConnection:
		return false
	case troubleForged, troubleCookie:
		return r.last || r.noTCP
	case troubleCase:
		return r.last || r.noTCP && times > 1
	case troubleBadCookie, troubleRefused:
	}
	return r.last
}

// overTCP returns the same way over TCP, with no more of EDNS than most.
func (m manner) overTCP(most ednsUse) manner {
	m.network, m.edns = "tcp", max(m.edns, most)
	return m
}

// afterCase: one reply in another letter case may be an attacker's, unless the server is
// known for it.
func (m manner) afterCase(times int, r restraint) manner {
	switch {
	case times > 1:
		return m.overTCP(ednsBare)
	case r.folds:
		m.case0x20 = false
	}
	return m
}

// afterBadCookie: the reply had the cookie to be shown (RFC 7873 §5.3).
func (m manner) afterBadCookie(times int) manner {
	if times > 1 || m.network == "tcp" {
		return m.overTCP(ednsBare)
	}
	return m
}

// afterRefusal goes down a step. Each one is a query of its own from another port, so that
// nobody who has guessed one of them has EDNS given up. The last one is without mixed letters
// too, as some servers answer these with such an error.
func (m manner) afterRefusal(r restraint) (manner, QueryReason, bool) {
	switch {
	case r.settled:
		return m, "", false
	case m.edns == ednsCookie:
		m.edns = ednsBare
		return m, ReasonNoOption, true
	case m.edns == ednsBare && !r.signed:
		m.edns, m.case0x20 = ednsNone, false
		return m, ReasonNoEDNS, true
	}
	return m, "", false
}

// refusesEDNS reports whether a response code is what servers answer that do not know EDNS
// (RFC 6891 §7), its version, or an option that they should ignore (§6.1.2).
func refusesEDNS(rcode int) bool {
	return rcode == dns.RcodeFormatError || rcode == dns.RcodeNotImplemented || rcode == dns.RcodeBadVers
}
