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
	Fallback  bool
	Extended  []failure.ExtendedError
	NotKept   error
}

// Decode decodes an answer for a caller.
func (a *Answer) Decode() (Decoded, error) {
	d := Decoded{
		Question: a.Q.Public(), Rcode: a.Rcode, Status: a.Status,
		TTL: a.TimeToLive(), FromCache: a.FromCache, Fallback: a.Fallback, Stale: a.Stale, Extended: a.Extended, NotKept: a.NotKept,
	}
	var err error
	for p := range a.Parts {
		section := &d.Answer
		if p.Authority {
			section = &d.Authority
		}
		if p.Set == nil {
			*section = append(*section, synthesised(p))
			continue
		}
		if *section, err = p.Set.AppendRRs(*section, p.TTL, true); err != nil {
			return Decoded{}, err
		}
	}
	return d, nil
}

// Part is an RRset of an answer with its signatures, or the CNAME that a DNAME amounts to for
// one name (RFC 6672 §3.1).
type Part struct {
	Set       *dnssec.RRset // nil: the CNAME
	From, To  dnsname.Name  // of the CNAME
	TTL       uint32        // seconds
	Authority bool          // it belongs into the authority section
}

// Parts calls yield with what a reply consists of, in its order, until that returns false. It
// is an iter.Seq.
func (a *Answer) Parts(yield func(Part) bool) {
	for i, step := range a.Aliases {
		ttl := min(step.Set.TTL, MaxTTL)
		if !a.hasDNAME(step.Set, i) && !yield(Part{Set: step.Set, TTL: ttl}) {
			return
		}
		if step.IsDNAME() && !step.TooLong && !yield(Part{From: step.From, To: step.To, TTL: ttl}) {
			return
		}
	}
	for _, s := range a.Sets {
		if !yield(Part{Set: s, TTL: min(s.TTL, MaxTTL)}) {
			return
		}
	}
	if a.SOA != nil && !yield(Part{Set: a.SOA, TTL: a.TTL, Authority: true}) {
		return
	}
	for _, s := range a.Denial {
		if !yield(Part{Set: s, TTL: min(s.TTL, a.TTL), Authority: true}) {
			return
		}
	}
}

// hasDNAME reports whether one of the first n steps goes by the same DNAME: an answer has
// every RRset once.
func (a *Answer) hasDNAME(set *dnssec.RRset, n int) bool {
	return set.Type == dns.TypeDNAME && slices.ContainsFunc(a.Aliases[:n], func(step scrub.Alias) bool {
		return step.IsDNAME() && step.Set.Owner == set.Owner
	})
}

func synthesised(p Part) dns.RR {
	return &dns.CNAME{
		Hdr:    dns.RR_Header{Name: p.From.String(), Rrtype: dns.TypeCNAME, Class: dns.ClassINET, Ttl: p.TTL},
		Target: p.To.String(),
	}
}
