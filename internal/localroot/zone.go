package localroot

import (
	"cmp"
	"encoding/binary"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/internal/dnsname"
)

// Zone is a copy of the zone that may be used. It does not change.
//
// All names and RDATA are pieces of one string, and an RRset with its signatures is one value: the
// root zone of 2026 takes 2 MB.
type Zone struct {
	Serial                 uint32
	refresh, retry, expire time.Duration
	Secure                 bool // its keys are those of a trust anchor
	signedUntil            time.Time
	Records, Bytes         int

	apex dnsname.Name
	sets []dnssec.RRset // by owner in canonical order, then by type
	nsec []int32        // which of them are NSEC records
}

// soaNumbers is how many bytes the five numbers at the end of an SOA record take (RFC 1035
// §3.3.13).
const soaNumbers = 20

// serial returns the serial number of the SOA.
func (z *contents) serial() uint32 { return z.number(0) }

func (z *contents) number(i int) uint32 {
	at := len(z.soa.rdata) - soaNumbers + 4*i
	return binary.BigEndian.Uint32([]byte(z.soa.rdata[at : at+4]))
}

// newZone packs the records of a copy.
func newZone(c *contents) *Zone {
	seconds := func(i int) time.Duration { return time.Duration(c.number(i)) * time.Second }
	z := &Zone{Serial: c.serial(), refresh: seconds(1), retry: seconds(2), expire: seconds(3), apex: c.apex, Records: len(c.records)}
	var p packer
	for begin := 0; begin < len(c.records); {
		end := begin + 1
		for end < len(c.records) && c.records[end].owner == c.records[begin].owner {
			end++
		}
		p.node(c.records[begin:end])
		begin = end
	}
	z.sets = p.sets()
	for i := range z.sets {
		if z.sets[i].Type == dns.TypeNSEC {
			z.nsec = append(z.nsec, int32(i))
		}
	}
	z.Bytes = p.text.Len() + len(z.sets)*setSize
	return z
}

// setSize is about how many bytes a dnssec.RRset takes beside what it points to.
const setSize = 64

// packer packs RRsets one behind the other.
type packer struct {
	text strings.Builder
	list []packedSet
}

type packedSet struct {
	dnssec.RRset
	owner, records, signatures, end int // where they begin in the text, and end
}

// node packs the RRsets of one name, each with the signatures over it. Those over types that the
// name does not have are left out.
func (p *packer) node(records []record) {
	owner := p.text.Len()
	p.text.WriteString(string(records[0].owner))
	for begin := 0; begin < len(records); {
		rrtype := records[begin].rrtype
		s := packedSet{owner: owner, records: p.text.Len()}
		s.Type, s.Class, s.TTL = rrtype, dns.ClassINET, records[begin].ttl
		for ; begin < len(records) && records[begin].rrtype == rrtype; begin++ {
			if rrtype != dns.TypeRRSIG {
				s.TTL = min(s.TTL, records[begin].ttl)
				p.field(records[begin].rdata)
			}
		}
		if rrtype == dns.TypeRRSIG {
			continue
		}
		s.signatures = p.text.Len()
		for _, r := range records {
			if r.rrtype == dns.TypeRRSIG && covered(r.rdata) == rrtype {
				s.TTL = min(s.TTL, r.ttl)
				p.field(r.rdata)
			}
		}
		s.end = p.text.Len()
		p.list = append(p.list, s)
	}
}

func (p *packer) field(rdata string) {
	p.text.WriteByte(byte(len(rdata) >> 8))
	p.text.WriteByte(byte(len(rdata)))
	p.text.WriteString(rdata)
}

// sets returns the RRsets, which are pieces of one string.
func (p *packer) sets() []dnssec.RRset {
	text := p.text.String()
	sets := make([]dnssec.RRset, len(p.list))
	for i, s := range p.list {
		sets[i] = s.RRset
		owner := text[s.owner:]
		sets[i].Owner = dnsname.Name(owner[:nameLen(owner)])
		sets[i].Records, sets[i].Signatures = dnssec.Packed(text[s.records:s.signatures]), dnssec.Packed(text[s.signatures:s.end])
	}
	return sets
}

// nameLen is the length of the name that a text begins with.
func nameLen(text string) int {
	n := 0
	for text[n] != 0 {
		n += int(text[n]) + 1
	}
	return n + 1
}

// node returns the RRsets at a name.
func (z *Zone) node(name dnsname.Name) []dnssec.RRset {
	begin := z.from(name)
	end := begin
	for end < len(z.sets) && z.sets[end].Owner == name {
		end++
	}
	return z.sets[begin:end]
}

// from returns where the RRsets at or behind a name begin.
func (z *Zone) from(name dnsname.Name) int {
	i, _ := slices.BinarySearchFunc(z.sets, name, func(s dnssec.RRset, n dnsname.Name) int { return dnsname.Compare(s.Owner, n) })
	return i
}

// exists reports whether there is something at or below a name.
func (z *Zone) exists(name dnsname.Name) bool {
	i := z.from(name)
	return i < len(z.sets) && z.sets[i].Owner.IsAtOrBelow(name)
}

// set returns an RRset; nil when there is none.
func (z *Zone) set(name dnsname.Name, rrtype uint16) *dnssec.RRset {
	return in(z.node(name), rrtype)
}

// in returns the RRset of a type among those of one name; nil when there is none.
func in(node []dnssec.RRset, rrtype uint16) *dnssec.RRset {
	i, ok := slices.BinarySearchFunc(node, rrtype, func(s dnssec.RRset, t uint16) int { return cmp.Compare(s.Type, t) })
	if !ok {
		return nil
	}
	return &node[i]
}

// covering returns the NSEC RRset at a name, or the last one before it; nil when the zone has none.
func (z *Zone) covering(name dnsname.Name) *dnssec.RRset {
	i, ok := slices.BinarySearchFunc(z.nsec, name, func(at int32, n dnsname.Name) int { return dnsname.Compare(z.sets[at].Owner, n) })
	if !ok {
		i--
	}
	if i < 0 {
		return nil
	}
	return &z.sets[z.nsec[i]]
}
