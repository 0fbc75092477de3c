package cache

import (
	"encoding/binary"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/internal/dnsname"
	"github.com/iterdns/iterdns/internal/wire"
)

// maxPlaces is how many names of a reply later ones may point to, beside the question. The
// owners of most replies are its QNAME or the target of its last alias.
const maxPlaces = 8

// maxPointer is the first place of a message that a pointer cannot lead to. RFC 1035 §4.1.4.
const maxPointer = 1 << 14

// place is where a name of a reply is written: as a whole, or its beginning, with a pointer
// behind it.
type place struct {
	name    dnsname.Name
	at      int // from the start of the message
	written int // bytes, without the pointer
}

// name appends a name to b, which is the message so far, with a pointer to where the longest
// part of it is written already (RFC 1035 §4.1.4).
func (m *message) name(b []byte, name dnsname.Name) []byte {
	for rest := name; !rest.IsRoot(); rest = rest.Parent() {
		at, ok := m.find(rest)
		if !ok {
			continue
		}
		m.note(name, len(b)-m.start, len(name)-len(rest))
		b = append(b, name[:len(name)-len(rest)]...)
		return binary.BigEndian.AppendUint16(b, 0xC000|uint16(at))
	}
	m.note(name, len(b)-m.start, len(name))
	return append(b, name...)
}

// find returns where a name is written, as such or as the end of another one.
func (m *message) find(name dnsname.Name) (at int, ok bool) {
	if m.q.Name.IsAtOrBelow(name) {
		return wire.HeaderLen + len(m.q.Name) - len(name), true
	}
	for i := range m.places[:m.placed] {
		p := &m.places[i]
		if before := len(p.name) - len(name); before < p.written && p.name.IsAtOrBelow(name) {
			return p.at + before, true
		}
	}
	return 0, false
}

// note remembers where a name is written, unless that is nothing to point to.
func (m *message) note(name dnsname.Name, at, written int) {
	if written > 1 && m.placed < maxPlaces && at+written < maxPointer {
		m.places[m.placed] = place{name, at, written}
		m.placed++
	}
}

// rdata appends uncompressed RDATA to b, with the names of those types compressed that may be
// in a message: those of RFC 1035 (RFC 3597 §4). The random letter case of a question shall not
// come to stand in them.
func (m *message) rdata(b []byte, rrtype uint16, rdata string) []byte {
	before, names := compressible(rrtype)
	before = min(before, len(rdata))
	b, rdata = append(b, rdata[:before]...), rdata[before:]
	for range names {
		end := nameEnd(rdata)
		if end == 0 {
			break
		}
		name := dnsname.Name(rdata[:end])
		rdata = rdata[end:]
		if m.plain {
			b = m.name(b, name)
			continue
		}
		m.note(name, len(b)-m.start, len(name))
		b = append(b, name...)
	}
	return append(b, rdata...)
}

// compressible returns how many names follow each other in RDATA of a type that may be
// compressed, and how many bytes stand before them.
func compressible(rrtype uint16) (before, names int) {
	switch rrtype {
	case dns.TypeCNAME, dns.TypeNS, dns.TypePTR:
		return 0, 1
	case dns.TypeMX:
		return 2, 1
	case dns.TypeSOA:
		return 0, 2
	}
	return 0, 0
}

// nameEnd returns the length of the name in wire format that s begins with; 0: with none, as
// in a snapshot that somebody has written to.
func nameEnd(s string) int {
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
