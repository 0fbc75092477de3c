package resolver

import (
	"crypto/rand"
	"encoding/binary"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/internal/wire"
)

// write makes the next query: a new ID, and new letter case (0x20) each time.
func (c *conversation) write() {
	edns := c.edns != ednsNone
	q := wire.Query{
		ID: randomID(), Name: c.q.name, Type: c.q.rrtype, Class: dns.ClassINET,
		CD: edns, EDNS: edns, UDPSize: udpSize, DO: edns,
	}
	if c.cut.from.forwards() {
		// Who does not judge for himself had better leave that to the forwarder.
		q.RD, q.DO, q.CD = true, edns && c.judges(), edns && c.judges()
	}
	if c.to.isEncrypted() && edns {
		q.PadTo = queryBlock
	}
	if c.edns == ednsCookie {
		q.Cookie = c.features.Cookie
	}
	c.query = q.AppendTo(c.query[:0:0]) // a new slice: the transport may still hold the old one
	if c.case0x20 {
		randomiseCase(wire.QuestionName(c.query))
	}
}

// queryBlock is what the length of padded queries is a multiple of. RFC 8467 §4.1.
const queryBlock = 128

// judges reports whether what the server of a route says is validated here.
func (c *conversation) judges() bool {
	return c.r.config.Validation == Validate && !c.cut.from.route.unsigned
}

func randomID() uint16 {
	var b [2]byte
	rand.Read(b[:])
	return binary.BigEndian.Uint16(b[:])
}

// randomiseCase flips the letters of a name at random. An attacker who cannot see
// the query has to guess them too (draft-vixie-dnsext-dns0x20).
func randomiseCase(name []byte) {
	var coins [32]byte
	rand.Read(coins[:])
	for i, b := range name {
		if 'a' <= b && b <= 'z' && coins[i/8]>>(i%8)&1 != 0 {
			name[i] = b - ('a' - 'A')
		}
	}
}
