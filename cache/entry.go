package cache

import (
	"encoding/binary"

	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/internal/dnsname"
)

// entry is one cached thing in one immutable string, which costs a single allocation
// that the garbage collector need not look into:
//
//	 0  kind in the low four bits, trust in the fifth
//	 1  rank in the low four bits, status in the next two, note in the high two
//	 2  type
//	 4  view
//	 8  end of life on the wall clock, milliseconds since 1970, 48 bits signed
//	14  end of life on the monotonic clock, milliseconds, 40 bits
//	19  length of life in seconds
//	23  length of the owner name
//	24  owner name, then what the kind asks for
type entry string

const entryHeader = 24

// head is the part of an entry that all kinds share.
type head struct {
	key
	standing
	span
	note note
}

// appendHead starts an entry.
func appendHead(b []byte, h head) []byte {
	b = append(b, byte(h.kind)|byte(h.trust)<<4, byte(h.rank)|byte(h.status)<<4|byte(h.note)<<6)
	b = binary.BigEndian.AppendUint16(b, h.rrtype)
	b = binary.BigEndian.AppendUint32(b, h.view)
	b = binary.BigEndian.AppendUint16(b, uint16(h.wall>>32))
	b = binary.BigEndian.AppendUint32(b, uint32(h.wall))
	b = append(b, byte(h.mono>>32))
	b = binary.BigEndian.AppendUint32(b, uint32(h.mono))
	b = binary.BigEndian.AppendUint32(b, h.ttl)
	b = append(b, byte(len(h.name)))
	return append(b, h.name...)
}

// is reports whether e is the entry of k, and not of another key with its hash.
func (e entry) is(k *key) bool {
	return e[0] == byte(k.kind)|byte(k.trust)<<4 &&
		be16(e[2:]) == k.rrtype && be32(e[4:]) == k.view && e.name() == k.name
}

func (e entry) kind() Kind         { return Kind(e[0] & 0xF) }
func (e entry) trust() Trust       { return Trust(e[0] >> 4) }
func (e entry) standing() standing { return standing{Rank(e[1] & 0xF), dnssec.Status(e[1] >> 4 & 3)} }
func (e entry) note() note         { return note(e[1] >> 6) }
func (e entry) rrtype() uint16     { return be16(e[2:]) }
func (e entry) view() uint32       { return be32(e[4:]) }
func (e entry) body() string       { return string(e[entryHeader+int(e[23]):]) }

func (e entry) name() dnsname.Name {
	return dnsname.Name(e[entryHeader : entryHeader+int(e[23])])
}

func (e entry) span() span {
	return span{
		wall: int64(int16(be16(e[8:])))<<32 | int64(be32(e[10:])),
		mono: int64(e[14])<<32 | int64(be32(e[15:])),
		ttl:  be32(e[19:]),
	}
}

// denies reports whether the entry says that something is not there, or was not found.
func (e entry) denies() bool {
	switch e.kind() {
	case KindNoData, KindNameError, KindFailure:
		return true
	case KindRRset, KindWildcard, KindChain, KindClaim, KindRange, KindTypes, KindCut, KindGlue:
	}
	return false
}

// size is what the string takes on the heap.
func (e entry) size() int64 { return allocated(len(e)) }

func be16[T ~string](s T) uint16 { return uint16(s[0])<<8 | uint16(s[1]) }

func be32[T ~string](s T) uint32 {
	return uint32(s[0])<<24 | uint32(s[1])<<16 | uint32(s[2])<<8 | uint32(s[3])
}

// appendSet appends records and signatures, the part of an RRset that a key does not
// say already.
func appendSet(b []byte, set *dnssec.RRset) []byte {
	b = binary.BigEndian.AppendUint32(b, uint32(len(set.Records)))
	b = append(b, set.Records...)
	return append(b, set.Signatures...)
}

// setBody returns what appendSet wrote at the end of an entry. It shares the
// entry's bytes, which never change.
func setBody(body string) (records, signatures dnssec.Packed) {
	n := 4 + int(be32(body))
	return dnssec.Packed(body[4:n]), dnssec.Packed(body[n:])
}
