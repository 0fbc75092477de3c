package upstream

import (
	"bytes"
	"encoding/binary"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/internal/budget"
	"github.com/iterdns/iterdns/internal/transport"
	"github.com/iterdns/iterdns/internal/wire"
)

// abandonReason is why a send over UDP was ended: a reply may be forged, or there were too
// many.
type abandonReason uint8

const (
	notAbandoned abandonReason = iota
	wrongID                    // all else is right: IDs are being guessed (RFC 5452 §9.2)
	wrongCase                  // all is right but the letter case
	wrongCookie                // no valid cookie from a server that has sent one before
	flooded                    // too many messages that are not the reply
)

const (
	// maxDroppedDatagrams is how many datagrams that are not the reply one send over UDP
	// reads. A thousand must not end it (TuDoor); more is a flood, which TCP avoids. The
	// more there are, the more it costs to guess ports.
	maxDroppedDatagrams = 2000
	// maxDroppedMessages is the same over TCP, where only the server can send messages: one
	// that sends several sends them for ever, up to 64 KiB each.
	maxDroppedMessages = 3
)

// accept decides whether a message that arrived is the reply to the query (RFC 5452 §9.1).
// Others change nothing and the wait goes on (TuDoor), except for one that is so nearly right
// that it must be a guess.
func (x *exchange) accept(m []byte) transport.Verdict {
	if len(m) < wire.HeaderLen {
		return x.drop(budget.DroppedForeign)
	}
	sameID := bytes.Equal(m[:2], x.query[:2])
	x.sawOurID = x.sawOurID || sameID // of no interest if it is accepted
	flags := binary.BigEndian.Uint16(m[2:])
	if flags&wire.QR == 0 || flags>>11&0xF != 0 {
		return x.drop(budget.DroppedForeign)
	}
	if binary.BigEndian.Uint16(m[4:]) == 0 {
		return x.checkNoQuestion(m, flags, sameID)
	}
	echo, exact := x.sameQuestion(m)
	switch {
	case !echo:
		return x.drop(budget.DroppedForeign)
	case !sameID:
		return x.abandon(wrongID)
	case !x.charge(m):
		return transport.Abandon
	case !exact && x.case0x20 && x.network == "udp":
		return x.abandon(wrongCase)
	}
	// Names that the reply compresses against the question must not carry its random
	// letter case into the cache.
	copy(m[wire.HeaderLen:], x.Q.Name)
	if x.network == "udp" && (flags&wire.TC != 0 || len(m) > x.offered()) {
		return transport.Accept // as a reason to use TCP, whatever it holds
	}
	parsed, err := wire.ParseNaming(m, x.Q.Name)
	if err != nil {
		return x.unreadable(err)
	}
	return x.checkCookie(parsed)
}

// charge charges the question for a message that has the ID and question of its query, even
// if it is dropped in the end, since it was read and parsed all the same. It returns false
// when the question's budget does not allow it.
func (x *exchange) charge(m []byte) bool {
	x.r.Counts.Received.Add(uint64(len(m)))
	x.chargeErr = x.Budget.ChargeBytes(len(m))
	return x.chargeErr == nil
}

// drop counts a message that changes nothing.
func (x *exchange) drop(why budget.DropReason) transport.Verdict {
	x.r.Counts.Drop(why)
	return x.ignore()
}

// ignore goes on waiting, unless this send has ignored too many messages.
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

// unreadable drops a reply to our query that cannot be parsed. The wait goes on, as it may
// be forged; the error is reported if nothing better comes.
func (x *exchange) unreadable(err error) transport.Verdict {
	x.malformed = x.r.Counts.MessageError(err)
	return x.drop(budget.DroppedMalformed)
}

// offered is the length of the largest reply that the query allows over UDP: without EDNS
// that of RFC 1035 §2.3.4.
func (x *exchange) offered() int {
	if x.edns != ednsNone {
		return UDPSize
	}
	return dns.MinMsgSize
}

// checkNoQuestion judges a message without question. Only a server that could not read the
// query may leave the question out (RFC 9619 §4).
func (x *exchange) checkNoQuestion(m []byte, flags uint16, sameID bool) transport.Verdict {
	rcode := int(flags & 0xF)
	switch {
	case rcode != dns.RcodeFormatError && rcode != dns.RcodeNotImplemented:
		return x.drop(budget.DroppedForeign)
	case !sameID: // a forger has to guess no more than port and ID
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

// sameQuestion reports whether m has our one question, and whether in the same letter case.
func (x *exchange) sameQuestion(m []byte) (same, exact bool) {
	ours := x.query[wire.HeaderLen : wire.HeaderLen+len(x.Q.Name)+4]
	if len(m) < wire.HeaderLen+len(ours) || binary.BigEndian.Uint16(m[4:]) != 1 {
		return false, false
	}
	theirs := m[wire.HeaderLen : wire.HeaderLen+len(ours)]
	n := len(x.Q.Name)
	if !bytes.Equal(theirs[n:], ours[n:]) || !equalFold(theirs[:n], ours[:n]) {
		return false, false
	}
	return true, bytes.Equal(theirs, ours)
}

// equalFold compares names without regard to ASCII case (RFC 4343). The bytes that hold lengths are
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

// checkCookie accepts a reply if its cookie allows that. A server that has returned our
// cookie once returns it always, and a reply with another client's cookie is not for us (RFC
// 7873 §5.3).
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
		x.r.Counts.Drop(budget.DroppedID)
	case wrongCase:
		x.r.Counts.Drop(budget.DroppedCase)
	case wrongCookie:
		x.r.Counts.Drop(budget.DroppedCookie)
	case notAbandoned, flooded: // not decided here
	}
	if x.network == "tcp" {
		return x.ignore()
	}
	return transport.Abandon
}
