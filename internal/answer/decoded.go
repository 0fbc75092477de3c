package answer

import (
	"slices"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/internal/dnsname"
	"github.com/iterdns/iterdns/internal/failure"
	"github.com/iterdns/iterdns/internal/scrub"
)

// Decoded is an answer with its records decoded. Unlike the answer it belongs to one caller,
// who may change it. The fields mean what those of Result do.
type Decoded struct {
	Question  dns.Question
	Rcode     int
	Answer    []dns.RR
	Authority []dns.RR
	Status    dnssec.Status
	TTL       time.Duration
	Stale     bool
	FromCache bool
	Extended  []failure.ExtendedError
	NotKept   error
}

// Decode decodes an answer for a caller.
func (a *Answer) Decode() (Decoded, error) {
	d := Decoded{
		Question: a.Q.Public(), Rcode: a.Rcode, Status: a.Status,
		TTL: a.TimeToLive(), FromCache: a.FromCache, Stale: a.Stale, Extended: a.Extended, NotKept: a.NotKept,
	}
	var err error
	for i, step := range a.Aliases {
		if a.hasDNAME(step.Set, i) {
			d.Answer = append(d.Answer, synthesised(step.From, step.To, step.Set.TTL))
			continue
		}
		if d.Answer, err = step.Set.AppendRRs(d.Answer, min(step.Set.TTL, MaxTTL), true); err != nil {
			return Decoded{}, err
		}
		if step.IsDNAME() && !step.TooLong {
			d.Answer = append(d.Answer, synthesised(step.From, step.To, step.Set.TTL))
		}
	}
	for _, s := range a.Sets {
		if d.Answer, err = s.AppendRRs(d.Answer, min(s.TTL, MaxTTL), true); err != nil {
			return Decoded{}, err
		}
	}
	if a.SOA != nil {
		if d.Authority, err = a.SOA.AppendRRs(d.Authority, a.TTL, true); err != nil {
			return Decoded{}, err
		}
	}
	for _, s := range a.Denial {
		if d.Authority, err = s.AppendRRs(d.Authority, min(s.TTL, a.TTL), true); err != nil {
			return Decoded{}, err
		}
	}
	return d, nil
}

// hasDNAME reports whether one of the first n steps goes by the same DNAME: an answer has
// every RRset once.
func (a *Answer) hasDNAME(set *dnssec.RRset, n int) bool {
	return set.Type == dns.TypeDNAME && slices.ContainsFunc(a.Aliases[:n], func(step scrub.Alias) bool {
		return step.IsDNAME() && step.Set.Owner == set.Owner
	})
}

// synthesised is the CNAME that a DNAME amounts to for one name (RFC 6672 §3.1).
func synthesised(from, to dnsname.Name, ttl uint32) dns.RR {
	return &dns.CNAME{
		Hdr:    dns.RR_Header{Name: from.String(), Rrtype: dns.TypeCNAME, Class: dns.ClassINET, Ttl: min(ttl, MaxTTL)},
		Target: to.String(),
	}
}
