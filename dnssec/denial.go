package dnssec

import (
	"math"
	"slices"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/internal/dnsname"
)

// proof is the denial records of exactly one zone, from which nonexistence is
// proven. Records are verified when they are first of use; those that are of none
// cost nothing.
type proof struct {
	zone   dnsname.Name
	nsec   []nsec
	nsec3  []nsec3
	params nsec3Params // of all nsec3
	work   *Work
	// stopped is as Evidence has it.
	stopped func() error
	// verify looks for the zone's signature of a record.
	verify func(*RRset) (verified, Reason, error)

	records []*RRset // verified and used
	ttl     uint32   // the shortest of them
	failure Reason   // why the first unusable record could not be used
}

// finding is the result of a proof. The zero value is a proof that shows nothing.
type finding struct {
	proven bool
	// unsigned: the name is a delegation without DS.
	unsigned bool
	// compact: the name does not exist although the response says NODATA (RFC 9824).
	compact bool
	// absent: of a DS, the name does not exist, nor anything below it.
	absent bool
	// optOut: the name may be an insecure delegation (RFC 5155 §6).
	optOut bool
	// iterations: there are too many of them to look further (RFC 9276 §3.2).
	iterations bool
	// closestEncloser and nextCloser of the name, where it does not exist.
	closestEncloser, nextCloser dnsname.Name
}

// prover is one of the questions a proof can answer.
type prover func(p *proof, name dnsname.Name, rrtype uint16) (finding, error)

// newProof sorts out the denial records that zone can have made.
func newProof(zone dnsname.Name, sets []*RRset, work *Work, verify func(*RRset) (verified, Reason, error)) (*proof, error) {
	p := &proof{zone: zone, work: work, verify: verify, ttl: math.MaxUint32}
	seen := 0
	for _, set := range sets {
		switch set.Type {
		case dns.TypeNSEC:
			if n, ok := parseNSEC(set, zone); ok {
				p.nsec = append(p.nsec, n)
			}
		case dns.TypeNSEC3:
			if seen++; seen > work.limits.NSEC3Records {
				return nil, &LimitError{LimitNSEC3Records, work.limits.NSEC3Records}
			}
			if n, ok := parseNSEC3(set, zone); ok {
				p.nsec3 = append(p.nsec3, n)
			}
		}
	}
	if len(p.nsec3) > 0 {
		p.params = p.nsec3[0].nsec3Params
	}
	return p, nil
}

// accept verifies a record that is of use. A record made from a wildcard proves
// nothing: the names beside it are not those of its true owner.
func (p *proof) accept(set *RRset) (bool, error) {
	if slices.Contains(p.records, set) {
		return true, nil
	}
	good, reason, err := p.verify(set)
	if err != nil {
		return false, err
	}
	if reason.Code == ReasonNone && good.wildcard != "" {
		reason = Reason{Code: ReasonLabels, Name: set.Owner, Type: set.Type}
	}
	if reason.Code != ReasonNone {
		p.failure = p.failure.further(reason)
		return false, nil
	}
	p.records, p.ttl = append(p.records, set), min(p.ttl, good.ttl)
	return true, nil
}

// choose asks the NSEC records, and if they do not prove it the NSEC3 records: a
// zone may change from one to the other (RFC 5155 §10.4).
func (p *proof) choose(byNSEC, byNSEC3 func() (finding, error)) (finding, error) {
	f, err := byNSEC()
	if err != nil || f.proven || len(p.nsec3) == 0 {
		return f, err
	}
	p.records, p.ttl = nil, math.MaxUint32
	if f, err := p.excessive(); err != nil || f.proven {
		return f, err
	}
	if p.mixed() {
		return finding{}, nil
	}
	return byNSEC3()
}

// noData asks for a proof that name has no RRset of the type.
func (p *proof) noData(name dnsname.Name, rrtype uint16) (finding, error) {
	return p.choose(
		func() (finding, error) { return p.nsecNoData(name, rrtype) },
		func() (finding, error) { return p.nsec3NoData(name, rrtype) })
}

// nameError asks for a proof that name does not exist, and no wildcard for it.
func (p *proof) nameError(name dnsname.Name, _ uint16) (finding, error) {
	return p.choose(
		func() (finding, error) { return p.nsecNameError(name) },
		func() (finding, error) { return p.nsec3NameError(name) })
}

// noDS asks for a proof that name has no DS: as a delegation, or as no zone cut.
func (p *proof) noDS(name dnsname.Name, _ uint16) (finding, error) {
	return p.choose(
		func() (finding, error) { return p.nsecNoDS(name) },
		func() (finding, error) { return p.nsec3NoDS(name) })
}

// denial is a proof of nonexistence, judged.
type denial struct {
	finding
	judgement
	records []*RRset // that make up the proof
}

// deny judges the denial records of a response: prove says what they have to show
// of name and rrtype.
func (e *Evidence) deny(name dnsname.Name, rrtype uint16, r *Response, prove prover) (denial, error) {
	above := parentSide(name, rrtype)
	point := e.trustPoint(name, above)
	if st := point.withoutChain(name); st != nil {
		return denial{judgement: st.judgement(math.MaxUint32)}, nil
	}
	failure := Reason{Code: ReasonNoDenial, Name: name, Type: rrtype}
	search := true
	for _, signer := range denialSigners(r.Authority, name, above, point.zone) {
		st, err := e.holder(signer, name, above)
		if err != nil {
			return denial{}, err
		}
		switch st.status {
		case Insecure, Indeterminate:
			return denial{judgement: st.judgement(math.MaxUint32)}, nil
		case Bogus:
			if !st.notZone {
				failure, search = st.reason, false
			}
		case Secure:
			search = false
			d, err := e.denyBy(st.keys, name, rrtype, r, prove)
			if err != nil || d.proven {
				return d, err
			}
			failure = d.reason
		}
	}
	st, err := e.unsigned(name, above, r.soaOwner(), search)
	if err != nil {
		return denial{}, err
	}
	return denial{judgement: st.withoutSignature(failure, math.MaxUint32)}, nil
}

// denialSigners returns the zones that signed denial records and may hold name, the
// deepest first.
func denialSigners(sets []*RRset, name dnsname.Name, above bool, point dnsname.Name) []dnsname.Name {
	var found []dnsname.Name
	var buf [maxSigners]dnsname.Name
	for _, set := range sets {
		if !isDenial(set.Type) {
			continue
		}
		for _, signer := range appendSigners(buf[:0], set, name, above, point) {
			if set.Owner.IsAtOrBelow(signer) && !slices.Contains(found, signer) {
				found = append(found, signer)
			}
		}
	}
	slices.SortStableFunc(found, func(a, b dnsname.Name) int { return b.Labels() - a.Labels() })
	return found[:min(len(found), maxSigners)]
}

// denyBy judges the denial records of one Secure zone.
func (e *Evidence) denyBy(keys *KeySet, name dnsname.Name, rrtype uint16, r *Response, prove prover) (denial, error) {
	p, err := newProof(keys.Zone, r.Authority, e.work, func(set *RRset) (verified, Reason, error) {
		return e.verifiedBy(set, keys)
	})
	if err != nil {
		return denial{}, err
	}
	p.stopped = e.stopped
	f, err := prove(p, name, rrtype)
	if err != nil {
		return denial{}, err
	}
	d := denial{
		finding:   f,
		judgement: judgement{status: Secure, zone: keys.Zone, keys: keys, ttl: p.ttl},
		records:   p.records,
	}
	switch {
	case !f.proven && p.failure.Code != ReasonNone:
		d.judgement = judgement{status: Bogus, reason: p.failure}
	case !f.proven:
		d.judgement = judgement{status: Bogus, reason: Reason{Code: p.missing(), Name: name, Type: rrtype}}
	case f.iterations:
		d.status, d.reason = Insecure, Reason{Code: ReasonIterations, Name: keys.Zone}
	case f.optOut:
		d.status, d.reason = Insecure, Reason{Code: ReasonOptOut, Name: name}
	}
	return d, nil
}

// missing tells a proof that proves something else from one that is not there.
func (p *proof) missing() ReasonCode {
	if len(p.records) > 0 {
		return ReasonWrongDenial
	}
	return ReasonNoDenial
}
