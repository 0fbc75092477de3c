package resolver

import (
	"bytes"
	"encoding/binary"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/internal/transport"
	"github.com/iterdns/iterdns/internal/wire"
)

// doubt is why a reply that came over UDP may be forged.
type doubt uint8

const (
	doubtless   doubt = iota
	wrongID           // all else right: somebody is guessing IDs (RFC 5452 §9.2)
	wrongCase         // all but the letter case
	wrongCookie       // no good cookie from a server that has sent one before
	flooded           // more that is no reply than one send is worth
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

// check judges a message that arrived: is it the reply to the query? Whatever is not
// changes nothing and the wait goes on (TuDoor), except for what is so nearly right
// that somebody must be guessing.
func (c *conversation) check(m []byte) transport.Verdict {
	if len(m) < wire.HeaderLen {
		return c.drop(DroppedForeign)
	}
	sameID := bytes.Equal(m[:2], c.query[:2])
	c.odd = c.odd || sameID // unless it is accepted, when nobody asks
	flags := binary.BigEndian.Uint16(m[2:])
	if flags&wire.QR == 0 || flags>>11&0xF != 0 {
		return c.drop(DroppedForeign)
	}
	if binary.BigEndian.Uint16(m[4:]) == 0 {
		return c.checkNoQuestion(m, flags, sameID)
	}
	echo, exact := c.sameQuestion(m)
	switch {
	case !echo:
		return c.drop(DroppedForeign)
	case !sameID:
		return c.abandon(wrongID)
	case !c.pays(m):
		return transport.Abandon
	case !exact && c.case0x20 && c.network == "udp":
		return c.abandon(wrongCase)
	}
	// Names that the reply compresses against the question shall not carry its random
	// letter case into the cache.
	copy(m[wire.HeaderLen:], c.q.name)
	if c.network == "udp" && (flags&wire.TC != 0 || len(m) > c.offered()) {
		return transport.Accept // as a reason to use TCP, whatever it holds
	}
	parsed, err := wire.Parse(m)
	if err != nil {
		return c.unreadable(err)
	}
	return c.checkCookie(parsed)
}

// pays charges the question for a message with the ID and question of its query, whatever it is
// good for: what is dropped in the end was read and taken apart all the same. False when that is
// more than the question has.
func (c *conversation) pays(m []byte) bool {
	c.r.counts.received.Add(uint64(len(m)))
	c.overdrawn = c.t.budget.received(len(m))
	return c.overdrawn == nil
}

// drop counts a packet that changes nothing.
func (c *conversation) drop(why DropReason) transport.Verdict {
	c.r.counts.drop(why)
	return c.ignore()
}

// ignore goes on waiting, unless too much has been ignored by this send.
func (c *conversation) ignore() transport.Verdict {
	limit := maxDroppedDatagrams
	if c.network == "tcp" {
		limit = maxDroppedMessages
	}
	if c.dropped++; c.dropped < limit {
		return transport.Ignore
	}
	c.doubt = flooded
	return transport.Abandon
}

// unreadable drops a reply that is to our query and cannot be taken apart. The wait goes
// on, as somebody else may have sent it; what was wrong is told if nothing better comes.
func (c *conversation) unreadable(err error) transport.Verdict {
	c.broken = c.r.messageError(err)
	return c.drop(DroppedMalformed)
}

// offered is the length of the largest reply that the query allows over UDP: without
// EDNS that of RFC 1035 §2.3.4.
func (c *conversation) offered() int {
	if c.edns != ednsNone {
		return udpSize
	}
	return dns.MinMsgSize
}

// checkNoQuestion: only a server that could not read the query may leave the question
// out (RFC 9619 §4).
func (c *conversation) checkNoQuestion(m []byte, flags uint16, sameID bool) transport.Verdict {
	rcode := int(flags & 0xF)
	switch {
	case rcode != dns.RcodeFormatError && rcode != dns.RcodeNotImplemented:
		return c.drop(DroppedForeign)
	case !sameID: // it takes no more to be guessed than port and ID
		return c.abandon(wrongID)
	}
	if !c.pays(m) {
		return transport.Abandon
	}
	parsed, err := wire.Parse(m)
	if err != nil {
		return c.unreadable(err)
	}
	return c.checkCookie(parsed)
}

// sameQuestion reports whether m has our one question, and whether letter for letter.
func (c *conversation) sameQuestion(m []byte) (same, exact bool) {
	ours := c.query[wire.HeaderLen : wire.HeaderLen+len(c.q.name)+4]
	if len(m) < wire.HeaderLen+len(ours) || binary.BigEndian.Uint16(m[4:]) != 1 {
		return false, false
	}
	theirs := m[wire.HeaderLen : wire.HeaderLen+len(ours)]
	n := len(c.q.name)
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
func (c *conversation) checkCookie(m *wire.Message) transport.Verdict {
	c.accepted = m
	if c.network == "tcp" || c.edns != ednsCookie {
		return transport.Accept
	}
	cookie := c.cookieOfReply()
	switch {
	case cookie == nil && !c.features.Cookies:
		return transport.Accept
	case cookie == nil:
		return c.abandon(wrongCookie)
	case len(cookie) < clientCookieLen || !bytes.Equal(cookie[:clientCookieLen], c.features.Cookie[:clientCookieLen]):
		return c.abandon(wrongCookie)
	}
	return transport.Accept
}

func (c *conversation) abandon(why doubt) transport.Verdict {
	c.accepted, c.doubt = nil, why
	switch why {
	case wrongID:
		c.r.counts.drop(DroppedID)
	case wrongCase:
		c.r.counts.drop(DroppedCase)
	case wrongCookie:
		c.r.counts.drop(DroppedCookie)
	case doubtless, flooded: // nobody abandons here for that
	}
	if c.network == "tcp" {
		return c.ignore()
	}
	return transport.Abandon
}
