package resolver

import (
	"bytes"
	"encoding/binary"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/internal/transport"
	"github.com/iterdns/iterdns/internal/wire"
)

// doubt is why a reply that came over UDP may be forged.
type abandonReason uint8

const (
	notAbandoned abandonReason = iota
	wrongID                    // all else right: somebody is guessing IDs (RFC 5452 §9.2)
	wrongCase                  // all but the letter case
	wrongCookie                // no good cookie from a server that has sent one before
	flooded                    // more that is no reply than one send is worth
)

const (
	// maxDroppedDatagrams is how many datagrams that are no reply one send over UDP reads. A
	// thousand must not end it (TuDoor); more is a flood, that TCP goes round, and costs whoever
	// guesses ports the more the more there are.
	maxDroppedDatagrams = 2000
	// maxDroppedMessages is the same over TCP, where nobody else can put a message in: a server
	// that sends several sends them for ever, up to 64 KiB each.
	maxDroppedMessages = 3
)

// accept judges a message that arrived: is it the reply to the query? Whatever is not
// changes nothing and the wait goes on (TuDoor), except for what is so nearly right
// that somebody must be guessing.
func (x *exchange) accept(m []byte) transport.Verdict {
	if len(m) < wire.HeaderLen {
		return x.drop(DroppedForeign)
	}
	sameID := bytes.Equal(m[:2], x.query[:2])
	x.sawOurID = x.sawOurID || sameID // unless it is accepted, when nobody asks
	flags := binary.BigEndian.Uint16(m[2:])
	if flags&wire.QR == 0 || flags>>11&0xF != 0 {
		return x.drop(DroppedForeign)
	}
	if binary.BigEndian.Uint16(m[4:]) == 0 {
		return x.checkNoQuestion(m, flags, sameID)
	}
	echo, exact := x.sameQuestion(m)
	switch {
	case !echo:
		return x.drop(DroppedForeign)
	case !sameID:
		return x.abandon(wrongID)
	case !x.charge(m):
		return transport.Abandon
	case !exact && x.case0x20 && x.network == "udp":
		return x.abandon(wrongCase)
	}
	// Names that the reply compresses against the question shall not carry its random
	// letter case into the cache.
	copy(m[wire.HeaderLen:], x.q.name)
	if x.network == "udp" && (flags&wire.TC != 0 || len(m) > x.offered()) {
		return transport.Accept // as a reason to use TCP, whatever it holds
	}
	parsed, err := wire.Parse(m)
	if err != nil {
		return x.unreadable(err)
	}
	return x.checkCookie(parsed)
}

// charge charges the question for a message with the ID and question of its query, whatever it is
// good for: what is dropped in the end was read and taken apart all the same. False when that is
// more than the question has.
func (x *exchange) charge(m []byte) bool {
	x.r.counts.received.Add(uint64(len(m)))
	x.chargeErr = x.st.budget.received(len(m))
	return x.chargeErr == nil
}

// drop counts a packet that changes nothing.
func (x *exchange) drop(why DropReason) transport.Verdict {
	x.r.counts.drop(why)
	return x.ignore()
}

// ignore goes on waiting, unless too much has been ignored by this send.
func (x *exchange) ignore() transport.Verdict {
	limit := maxDroppedDatagrams
	if x.network == "tcp" {
		limit = maxDroppedMessages
	}
	if x.dropped++; x.dropped < limit {
		return transport.Ignore
	}
	x.abandoned = flooded
	return transport.Abandon
}

// unreadable drops a reply that is to our query and cannot be taken apart. The wait goes
// on, as somebody else may have sent it; what was wrong is told if nothing better comes.
func (x *exchange) unreadable(err error) transport.Verdict {
	x.malformed = x.r.messageError(err)
	return x.drop(DroppedMalformed)
}

// offered is the length of the largest reply that the query allows over UDP: without
// EDNS that of RFC 1035 §2.3.4.
func (x *exchange) offered() int {
	if x.edns != ednsNone {
		return udpSize
	}
	return dns.MinMsgSize
}

// checkNoQuestion: only a server that could not read the query may leave the question
// out (RFC 9619 §4).
func (x *exchange) checkNoQuestion(m []byte, flags uint16, sameID bool) transport.Verdict {
	rcode := int(flags & 0xF)
	switch {
	case rcode != dns.RcodeFormatError && rcode != dns.RcodeNotImplemented:
		return x.drop(DroppedForeign)
	case !sameID: // it takes no more to be guessed than port and ID
		return x.abandon(wrongID)
	}
	if !x.charge(m) {
		return transport.Abandon
	}
	parsed, err := wire.Parse(m)
	if err != nil {
		return x.unreadable(err)
	}
	return x.checkCookie(parsed)
}

// sameQuestion reports whether m has our one question, and whether letter for letter.
func (x *exchange) sameQuestion(m []byte) (same, exact bool) {
	ours := x.query[wire.HeaderLen : wire.HeaderLen+len(x.q.name)+4]
	if len(m) < wire.HeaderLen+len(ours) || binary.BigEndian.Uint16(m[4:]) != 1 {
		return false, false
	}
	theirs := m[wire.HeaderLen : wire.HeaderLen+len(ours)]
	n := len(x.q.name)
	if !bytes.Equal(theirs[n:], ours[n:]) || !equalFold(theirs[:n], ours[:n]) {
		return false, false
	}
	return true, bytes.Equal(theirs, ours)
}

// equalFold compares names without regard to ASCII case (RFC 4343). Length octets are
// no letters.
func equalFold(a, b []byte) bool {
	for i := range a {
		x, y := a[i], b[i]
		if x|0x20 != y|0x20 || x != y && (x|0x20 < 'a' || x|0x20 > 'z') {
			return false
		}
	}
	return true
}

// checkCookie: a server that has shown to know our cookie will show it again. A reply
// with somebody else's is not for us (RFC 7873 §5.3).
func (x *exchange) checkCookie(m *wire.Message) transport.Verdict {
	x.accepted = m
	if x.network == "tcp" || x.edns != ednsCookie {
		return transport.Accept
	}
	cookie := x.cookieOfReply()
	switch {
	case cookie == nil && !x.features.Cookies:
		return transport.Accept
	case cookie == nil:
		return x.abandon(wrongCookie)
	case len(cookie) < clientCookieLen || !bytes.Equal(cookie[:clientCookieLen], x.features.Cookie[:clientCookieLen]):
		return x.abandon(wrongCookie)
	}
	return transport.Accept
}

func (x *exchange) abandon(why abandonReason) transport.Verdict {
	x.accepted, x.abandoned = nil, why
	switch why {
	case wrongID:
		x.r.counts.drop(DroppedID)
	case wrongCase:
		x.r.counts.drop(DroppedCase)
	case wrongCookie:
		x.r.counts.drop(DroppedCookie)
	case notAbandoned, flooded: // nobody abandons here for that
	}
	if x.network == "tcp" {
		return x.ignore()
	}
	return transport.Abandon
}
