package upstream

import (
	"crypto/rand"
	"encoding/binary"
	"slices"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/internal/infra"
	"github.com/iterdns/iterdns/internal/wire"
)

const (
	// UDPSize is the largest reply asked for over UDP: what fits into an unfragmented
	// packet nearly everywhere (RFC 9715 §3.1; the default of all peers).
	UDPSize = 1232
	// clientCookieLen is the length of the client's part of a cookie. RFC 7873 §4.
	clientCookieLen = 8
	// queryBlock is the length to a multiple of which queries are padded. RFC 8467 §4.1.
	queryBlock = 128
)

// ednsUse is how much of EDNS a query uses. Each value asks less of a server than the one
// before.
type ednsUse uint8

const (
	ednsCookie ednsUse = iota // DO, and a cookie as its one option
	ednsBare                  // DO, and no option
	ednsNone                  // no OPT record
)

// queryForm is the form of a query: its transport, EDNS, and letter case.
type queryForm struct {
	network  string // "udp" or "tcp"
	edns     ednsUse
	case0x20 bool // the letters of the name are in random case (draft-vixie-dnsext-dns0x20)
}

// firstForm returns the form of the first query to a server with the given features. Without
// EDNS no signatures come, so that the servers of a signed zone are always asked with it.
func firstForm(network string, known infra.Features, mixCase, signed bool) queryForm {
	f := queryForm{network: network, case0x20: mixCase && !known.NoCase}
	switch {
	case known.NoEDNS && !signed:
		f.edns = ednsNone
	case known.NoEDNS, known.NoOption, network == "tcp": // replies over TCP are not forged
		f.edns = ednsBare
	}
	return f
}

// plain returns the form that the fewest servers fail on: no EDNS option, no mixed letter
// case. EDNS stays, as only a reply can show that it is of no use (RFC 6891 §6.2.2).
func (f queryForm) plain() queryForm {
	f.edns, f.case0x20 = max(f.edns, ednsBare), false
	return f
}

// write makes the next query, with a new ID and new random letter case (0x20).
func (x *exchange) write() {
	edns := x.edns != ednsNone
	q := wire.Query{
		ID: randomID(), Name: x.Q.Name, Type: x.Q.Type, Class: dns.ClassINET,
		CD: edns, EDNS: edns, UDPSize: UDPSize, DO: edns,
	}
	if x.Cut.Source.Forwards() {
		// Without validation here it is best left to the forwarder.
		q.RD, q.DO, q.CD = true, edns && x.validatesHere(), edns && x.validatesHere()
	}
	if x.to.IsEncrypted() && edns {
		q.PadTo = queryBlock
	}
	if x.edns == ednsCookie {
		q.Cookie = x.features.Cookie
	}
	q.NSID = x.NSID && x.mayTakeOption()
	room := x.room[:0]
	if x.query != nil {
		room = nil // the transport may still hold the old one
	}
	x.query = q.AppendTo(room)
	if x.case0x20 {
		randomiseCase(wire.QuestionName(x.query))
	}
}

// mayTakeOption reports whether the server is not known to refuse EDNS options, nor has done so just
// now.
func (x *exchange) mayTakeOption() bool {
	return x.edns != ednsNone && !x.features.NoOption && x.faults[faultRefused] == 0 && !x.to.Plain
}

// validatesHere reports whether what the servers of the route say is validated by this
// resolver.
func (x *exchange) validatesHere() bool {
	return x.r.Settings.Validates && !x.Cut.Source.Route.Unsigned
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

// hasCapital reports whether a name in wire format has a capital letter.
func hasCapital(name []byte) bool {
	return slices.ContainsFunc(name, func(b byte) bool { return 'A' <= b && b <= 'Z' })
}
