package wire

import (
	"encoding/binary"

	"github.com/iterdns/iterdns/internal/dnsname"
)

// Section is a part of a message that has records. RFC 1035 §4.1.
type Section uint8

// The sections.
const (
	SectionAnswer Section = iota
	SectionAuthority
	SectionAdditional
)

// OPTSize is the length of an OPT record without options. RFC 6891 §6.1.2.
const OPTSize = 11

// Reply is a response that is being written, record by record, from RDATA that is never
// decoded. Its names are compressed (RFC 1035 §4.1.4). Writing allocates nothing when the
// buffer has the capacity.
type Reply struct {
	buf    []byte
	start  int       // of the message in buf
	room   int       // bytes for all but the OPT record
	full   bool      // a record had no room, and what follows is left out too
	counts [4]uint16 // of the question section, and of those with records

	name  dnsname.Name // of the question; "": there is none
	exact int          // from this byte on the question has the letter case of name
	// Names to point to, as places[:placed].
	places [maxPlaces]place
	placed int
}

// Begin starts a message behind dst. Without its OPT record it has at most room bytes: a
// record that has no room is left out, with all that would follow it. Only the question is
// written whatever room is left.
func (r *Reply) Begin(dst []byte, room int) {
	r.start, r.room = len(dst), room
	r.buf = append(dst, make([]byte, HeaderLen)...)
}

// Question writes the question. asked is its name as the client wrote it, without
// compression; it differs from name in letter case alone.
func (r *Reply) Question(name dnsname.Name, asked []byte, rrtype, class uint16) {
	r.name = name
	for i := len(name); i > 0 && string(asked) != string(name); i-- {
		if asked[i-1] != name[i-1] {
			r.exact = i
			break
		}
	}
	r.buf = append(r.buf, asked...)
	r.buf = binary.BigEndian.AppendUint16(r.buf, rrtype)
	r.buf = binary.BigEndian.AppendUint16(r.buf, class)
	r.counts[0] = 1
}

// RRset is what the records of a set have in common.
type RRset struct {
	Owner dnsname.Name
	Type  uint16
	Class uint16
	TTL   uint32
}

// Set writes a record for each of the RDATA fields, which stand each behind two bytes of
// length. As many from the front as last says come behind all others.
func (r *Reply) Set(section Section, set RRset, fields string, last int) {
	rest := fields
	for range last {
		_, rest, _ = cutField(rest)
	}
	for _, part := range [...]string{rest, fields[:len(fields)-len(rest)]} {
		for !r.full {
			rdata, behind, ok := cutField(part)
			if !ok {
				break
			}
			r.record(section, &set, rdata)
			part = behind
		}
	}
}

// cutField returns the first of some fields, and those behind it; false: there is none.
func cutField(fields string) (field, behind string, ok bool) {
	const length = 2
	if len(fields) < length {
		return "", "", false
	}
	end := length + (int(fields[0])<<8 | int(fields[1]))
	if end > len(fields) {
		return "", "", false
	}
	return fields[length:end], fields[end:], true
}

// record writes one record, unless it has no room.
func (r *Reply) record(section Section, set *RRset, rdata string) {
	b := r.appendName(r.buf, set.Owner, false)
	b = binary.BigEndian.AppendUint16(b, set.Type)
	b = binary.BigEndian.AppendUint16(b, set.Class)
	b = binary.BigEndian.AppendUint32(b, set.TTL)
	if before, names := compressible(set.Type); names > 0 {
		at := len(b)
		b = r.appendNames(append(b, 0, 0), before, names, rdata)
		binary.BigEndian.PutUint16(b[at:], uint16(len(b)-at-2))
	} else if r.full = len(b)+2+len(rdata)-r.start > r.room; !r.full { // seen before the buffer is made larger for it
		b = append(binary.BigEndian.AppendUint16(b, uint16(len(rdata))), rdata...)
	}
	if r.full = r.full || len(b)-r.start > r.room; r.full {
		return
	}
	r.buf = b
	r.counts[1+section]++
}

// OPT writes an OPT record of EDNS version 0 with the upper bits of the response code and
// these options, each behind its code and length. RFC 6891 §6.1, RFC 3225 §3.
func (r *Reply) OPT(size uint16, rcode int, do bool, options []byte) {
	b := append(r.buf, 0) // owned by the root
	b = binary.BigEndian.AppendUint16(b, typeOPT)
	b = binary.BigEndian.AppendUint16(b, size)
	b = append(b, byte(rcode>>4), 0)
	var flags uint16
	if do {
		flags = doBit
	}
	b = binary.BigEndian.AppendUint16(b, flags)
	b = binary.BigEndian.AppendUint16(b, uint16(len(options)))
	r.buf = append(b, options...)
	r.counts[1+SectionAdditional]++
}

// Full reports whether a record had no room.
func (r *Reply) Full() bool { return r.full }

// Len returns how many bytes the message has so far.
func (r *Reply) Len() int { return len(r.buf) - r.start }

// End writes the header, and returns what Begin was called with and the message behind it.
func (r *Reply) End(id, flags uint16) []byte {
	b := r.buf[r.start:]
	binary.BigEndian.PutUint16(b, id)
	binary.BigEndian.PutUint16(b[2:], flags)
	for section, count := range r.counts {
		binary.BigEndian.PutUint16(b[4+2*section:], count)
	}
	return r.buf
}
