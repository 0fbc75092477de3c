package resolver

import (
	"crypto/rand"
	"encoding/binary"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/internal/wire"
)

// write makes the next query, with a new ID and new random letter case (0x20).
func (x *exchange) write() {
	edns := x.edns != ednsNone
	q := wire.Query{
		ID: randomID(), Name: x.q.name, Type: x.q.rrtype, Class: dns.ClassINET,
		CD: edns, EDNS: edns, UDPSize: udpSize, DO: edns,
	}
	if x.cut.source.forwards() {
		// Without validation here it is best left to the forwarder.
		q.RD, q.DO, q.CD = true, edns && x.validatesHere(), edns && x.validatesHere()
	}
	if x.to.isEncrypted() && edns {
		q.PadTo = queryBlock
	}
	if x.edns == ednsCookie {
		q.Cookie = x.features.Cookie
	}
	x.query = q.AppendTo(x.query[:0:0]) // a new slice: the transport may still hold the old one
	if x.case0x20 {
		randomiseCase(wire.QuestionName(x.query))
	}
}

// queryBlock is the length to a multiple of which queries are padded. RFC 8467 §4.1.
const queryBlock = 128

// validatesHere reports whether what the servers of the route say is validated by this
// resolver.
func (x *exchange) validatesHere() bool {
	return x.r.settings.Validates && !x.cut.source.route.unsigned
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
