package wire

import (
	"encoding/binary"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/internal/dnsname"
)

// maxPlaces is how many names of a reply later ones may point to, beside the question: more
// than the longest chain of aliases has. It bounds the time that long replies take.
const maxPlaces = 16

// maxPointer is the first place of a message that a pointer cannot lead to. RFC 1035 §4.1.4.
const maxPointer = 1 << 14

// place is where a name of a reply is written: as a whole, or its beginning, with a pointer
// behind it.
type place struct {
	name    dnsname.Name
	at      uint16 // from the start of the message
	written uint8  // bytes, without the pointer
	exact   bool   // what the pointer leads to has the letter case of name
}

// appendName appends a name to b, which is the message so far, with a pointer to where the
// longest part of it is written already (RFC 1035 §4.1.4). An exact name points to nothing
// whose letter case is the question's and not its own.
func (r *Reply) appendName(b []byte, name dnsname.Name, exact bool) []byte {
	if name == r.name && len(name) > 1 && (!exact || r.exact == 0) { // as find would say
		return append(b, 0xC0, HeaderLen)
	}
	here := min(len(b)-r.start, maxPointer)
	for rest := name; !rest.IsRoot(); rest = rest.Parent() {
		at, isExact, ok := r.find(rest, exact)
		if !ok {
			continue
		}
		before := len(name) - len(rest)
		r.note(place{name, uint16(here), uint8(before), isExact})
		b = append(b, name[:before]...)
		return binary.BigEndian.AppendUint16(b, 0xC000|uint16(at))
	}
	r.note(place{name, uint16(here), uint8(len(name)), true})
	return append(b, name...)
}

// find returns where a name is written, as such or as the end of another one, and whether it
// has its own letter case there; only then if exact is set.
func (r *Reply) find(name dnsname.Name, exact bool) (at int, isExact, ok bool) {
	if r.name.IsAtOrBelow(name) {
		before := len(r.name) - len(name)
		if isExact = before >= r.exact; isExact || !exact {
			return HeaderLen + before, isExact, true
		}
	}
	for i := range r.places[:r.placed] {
		p := &r.places[i]
		before := len(p.name) - len(name)
		if before < int(p.written) && (p.exact || !exact) && p.name.IsAtOrBelow(name) {
			return int(p.at) + before, p.exact, true
		}
	}
	return 0, false, false
}

// note remembers where a name is written, unless that is nothing to point to.
func (r *Reply) note(p place) {
	if p.written > 1 && r.placed < maxPlaces && int(p.at)+int(p.written) < maxPointer {
		r.places[r.placed] = p
		r.placed++
	}
}

// appendNames appends uncompressed RDATA to b, in which names follow each other behind some
// bytes. The random letter case of a question shall not come to stand in them.
func (r *Reply) appendNames(b []byte, before, names int, rdata string) []byte {
	before = min(before, len(rdata))
	b, rdata = append(b, rdata[:before]...), rdata[before:]
	for range names {
		end := nameLength(rdata)
		if end == 0 {
			break
		}
		b = r.appendName(b, dnsname.Name(rdata[:end]), true)
		rdata = rdata[end:]
	}
	return append(b, rdata...)
}

// compressible returns how many names follow each other in RDATA of a type that may be
// compressed in a message, and how many bytes stand before them: those of RFC 1035 (RFC 3597 §4).
func compressible(rrtype uint16) (before, names int) {
	switch rrtype {
	case dns.TypeCNAME, dns.TypeNS, dns.TypePTR, dns.TypeMB, dns.TypeMD, dns.TypeMF, dns.TypeMG, dns.TypeMR:
		return 0, 1
	case dns.TypeMX:
		return 2, 1
	case dns.TypeSOA, dns.TypeMINFO:
		return 0, 2
	}
	return 0, 0
}

// nameLength returns the length of the name in wire format that s begins with; 0: with none,
// as in a snapshot that somebody has written to.
func nameLength(s string) int {
	for end := 0; end < len(s) && end < dnsname.MaxWire; end += 1 + int(s[end]) {
		switch {
		case s[end] == 0:
			return end + 1
		case s[end] > dnsname.MaxLabel:
			return 0
		}
	}
	return 0
}
