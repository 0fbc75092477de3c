package resolver

import (
	"slices"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/internal/dnsname"
	"github.com/iterdns/iterdns/internal/scrub"
)

// decoded is an answer with its records decoded. Unlike the answer it belongs to one caller,
// who may change it. The fields mean what those of Result do.
type decoded struct {
	question  dns.Question
	rcode     int
	answer    []dns.RR
	authority []dns.RR
	status    dnssec.Status
	ttl       time.Duration
	stale     bool
	fromCache bool
	extended  []extendedError
	notKept   error
}

// decode decodes an answer for a caller.
func (a *answer) decode() (decoded, error) {
	d := decoded{
		question: a.q.public(), rcode: a.rcode, status: a.status,
		ttl: a.timeToLive(), fromCache: a.fromCache, stale: a.stale, extended: a.extended, notKept: a.notKept,
	}
	var err error
	for i, step := range a.aliases {
		if a.hasDNAME(step.Set, i) {
			d.answer = append(d.answer, synthesised(step.From, step.To, step.Set.TTL))
			continue
		}
		if d.answer, err = step.Set.AppendRRs(d.answer, min(step.Set.TTL, maxTTL), true); err != nil {
			return decoded{}, err
		}
		if step.IsDNAME() && !step.TooLong {
			d.answer = append(d.answer, synthesised(step.From, step.To, step.Set.TTL))
		}
	}
	for _, s := range a.sets {
		if d.answer, err = s.AppendRRs(d.answer, min(s.TTL, maxTTL), true); err != nil {
			return decoded{}, err
		}
	}
	if a.soa != nil {
		if d.authority, err = a.soa.AppendRRs(d.authority, a.ttl, true); err != nil {
			return decoded{}, err
		}
	}
	for _, s := range a.denial {
		if d.authority, err = s.AppendRRs(d.authority, min(s.TTL, a.ttl), true); err != nil {
			return decoded{}, err
		}
	}
	return d, nil
}

// hasDNAME reports whether one of the first n steps goes by the same DNAME: an answer has
// every RRset once.
func (a *answer) hasDNAME(set *dnssec.RRset, n int) bool {
	return set.Type == dns.TypeDNAME && slices.ContainsFunc(a.aliases[:n], func(step scrub.Alias) bool {
		return step.IsDNAME() && step.Set.Owner == set.Owner
	})
}

// synthesised is the CNAME that a DNAME amounts to for one name (RFC 6672 §3.1).
func synthesised(from, to dnsname.Name, ttl uint32) dns.RR {
	return &dns.CNAME{
		Hdr:    dns.RR_Header{Name: from.String(), Rrtype: dns.TypeCNAME, Class: dns.ClassINET, Ttl: min(ttl, maxTTL)},
		Target: to.String(),
	}
}
