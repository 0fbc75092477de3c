package localroot

import (
	"cmp"
	"slices"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/internal/dnsname"
	"github.com/iterdns/iterdns/internal/wire"
)

// MaxBytes is how many bytes a copy may have, as text or as messages: seven times the 2.2 MB of
// the root zone's text in 2026, so that the zone may grow as it did after 2013, by 1,200 top-level
// domains, several times over.
const MaxBytes = 16 << 20

// MaxRecords is how many records it may have: eight times the 25,000 of the root zone. Each takes
// some 100 bytes while the copy is read, beside its own.
const MaxRecords = 200_000

// record is one record of a copy that is being read.
type record struct {
	owner  dnsname.Name
	rrtype uint16
	ttl    uint32
	rdata  string // uncompressed, in the letter case received
	canon  string // in canonical form (RFC 4034 §6.2)
}

// contents are the records of a copy, in the order and form of RFC 8976 §3.3.
type contents struct {
	apex    dnsname.Name
	records []record
	soa     record
}

// collector takes in the records of a copy in any order.
type collector struct {
	apex    dnsname.Name
	records []record
	bytes   int
	packed  []byte // room for one record
}

// add takes in a record. Those outside the zone are no part of it; those of other classes show that
// it is no zone (RFC 1035 §5.2).
func (c *collector) add(owner dnsname.Name, rrtype, class uint16, ttl uint32, rdata string) error {
	switch {
	case class != dns.ClassINET:
		return faultf(FaultSyntax, "%s: a record of class %s, want IN", owner, dns.Class(class))
	case !owner.IsAtOrBelow(c.apex):
		return nil
	}
	if len(c.records) == MaxRecords {
		return faultf(FaultSize, "more than %d records", MaxRecords)
	}
	if c.bytes += len(owner) + len(rdata); c.bytes > MaxBytes {
		return faultf(FaultSize, "records of more than %d bytes", MaxBytes)
	}
	if n := len(c.records); n > 0 && c.records[n-1].owner == owner {
		owner = c.records[n-1].owner // one copy for all
	}
	c.records = append(c.records, record{owner, rrtype, ttl, rdata, wire.CanonicalRData(rrtype, rdata)})
	return nil
}

// finish puts the records in order, each once, and finds the SOA.
func (c *collector) finish() (*contents, error) {
	z := &contents{apex: c.apex, records: c.records}
	z.sort()
	z.records = slices.CompactFunc(z.records, func(a, b record) bool {
		return a.owner == b.owner && a.rrtype == b.rrtype && a.canon == b.canon
	})
	soa := z.of(c.apex, dns.TypeSOA)
	switch {
	case len(soa) == 0:
		return nil, faultf(FaultSyntax, "no SOA record: this is no copy of the zone, or not the whole of it")
	case len(soa) > 1:
		return nil, faultf(FaultSyntax, "%d SOA records, want one", len(soa))
	case len(z.of(c.apex, dns.TypeNS)) == 0:
		return nil, faultf(FaultSyntax, "no NS records of the zone")
	}
	if z.soa = soa[0]; len(z.soa.rdata) < soaNumbers {
		return nil, faultf(FaultSyntax, "malformed SOA record")
	}
	return z, nil
}

// sort puts the records in canonical order (RFC 8976 §3.3.1).
func (z *contents) sort() {
	slices.SortFunc(z.records, func(a, b record) int {
		if a.owner != b.owner {
			return dnsname.Compare(a.owner, b.owner)
		}
		return cmp.Or(cmp.Compare(a.rrtype, b.rrtype), cmp.Compare(a.canon, b.canon))
	})
}

// of returns the records of an owner and type.
func (z *contents) of(owner dnsname.Name, rrtype uint16) []record {
	order := func(r record, _ struct{}) int {
		if r.owner != owner {
			return dnsname.Compare(r.owner, owner)
		}
		return cmp.Compare(r.rrtype, rrtype)
	}
	begin, _ := slices.BinarySearchFunc(z.records, struct{}{}, order)
	end := begin
	for end < len(z.records) && order(z.records[end], struct{}{}) == 0 {
		end++
	}
	return z.records[begin:end]
}
