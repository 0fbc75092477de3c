package resolver

import (
	"slices"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/internal/dnsname"
	"github.com/iterdns/iterdns/internal/scrub"
)

// found is the answer to a question: the alias chain, and what stands at its end.
type found struct {
	q         question
	aliases   []scrub.Alias
	sets      []*dnssec.RRset
	soa       *dnssec.RRset
	denial    []*dnssec.RRset
	rcode     int
	status    dnssec.Status
	ttl       uint32
	fromCache bool
	local     bool       // all of it is ours to say: no server had a part in it
	stale     bool       // a part of it has expired (RFC 8767)
	due       []question // parts worth being fetched again
	extended  []ExtendedError
	notKept   error // as Result has it
}

// result decodes an answer for a caller.
func (f *found) result() (*Result, error) {
	r := &Result{
		Question: f.q.public(), Rcode: f.rcode, Status: f.status,
		TTL: time.Duration(f.ttl) * time.Second, FromCache: f.fromCache, Stale: f.stale, Extended: f.extended, NotKept: f.notKept,
	}
	var err error
	for i, step := range f.aliases {
		if f.hasDNAME(step.Set, i) {
			r.Answer = append(r.Answer, synthesised(step.From, step.To, step.Set.TTL))
			continue
		}
		if r.Answer, err = step.Set.AppendRRs(r.Answer, min(step.Set.TTL, maxTTL), true); err != nil {
			return nil, err
		}
		if step.IsDNAME() && !step.TooLong {
			r.Answer = append(r.Answer, synthesised(step.From, step.To, step.Set.TTL))
		}
	}
	for _, s := range f.sets {
		if r.Answer, err = s.AppendRRs(r.Answer, min(s.TTL, maxTTL), true); err != nil {
			return nil, err
		}
	}
	if f.soa != nil {
		if r.Authority, err = f.soa.AppendRRs(r.Authority, f.ttl, true); err != nil {
			return nil, err
		}
	}
	for _, s := range f.denial {
		if r.Authority, err = s.AppendRRs(r.Authority, min(s.TTL, f.ttl), true); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// hasDNAME reports whether one of the first n steps goes by the same DNAME: an answer has
// every RRset once.
func (f *found) hasDNAME(set *dnssec.RRset, n int) bool {
	return set.Type == dns.TypeDNAME && slices.ContainsFunc(f.aliases[:n], func(a scrub.Alias) bool {
		return a.IsDNAME() && a.Set.Owner == set.Owner
	})
}

// synthesised is the CNAME that a DNAME amounts to for one name (RFC 6672 §3.1).
func synthesised(from, to dnsname.Name, ttl uint32) dns.RR {
	return &dns.CNAME{
		Hdr:    dns.RR_Header{Name: from.String(), Rrtype: dns.TypeCNAME, Class: dns.ClassINET, Ttl: min(ttl, maxTTL)},
		Target: to.String(),
	}
}
