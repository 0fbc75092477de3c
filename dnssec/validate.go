package dnssec

import (
	"math"
	"slices"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/internal/dnsname"
)

// maxAnswerSets is how many RRsets of one response are judged: those of an ANY
// answer, where Unbound has the same limit, and of an alias chain.
const maxAnswerSets = 24

// Validate judges a response: KindAnswer, KindAlias, KindNoData or KindNameError. It
// returns either a verdict, or what is needed first, or a *LimitError.
func (e *Evidence) Validate(r *Response) (*Verdict, []Need, error) {
	e.begin()
	if r.Zone != "" && r.Name.IsAtOrBelow(r.Zone) {
		e.cuts[r.Zone] = true
	}
	v, err := e.judge(r)
	if err == errPending {
		return nil, e.needs, nil
	}
	if err != nil {
		return nil, nil, err
	}
	if v.Status == Bogus {
		v.failed = e.links()
	}
	return v, nil, nil
}

// Judge judges the known DS RRset of a name, as Validate judges a response.
func (e *Evidence) Judge(zone Name) (*Delegation, []Need, error) {
	e.begin()
	d, err := e.delegation(zone)
	if err == errPending {
		return nil, e.needs, nil
	}
	if err != nil {
		return nil, nil, err
	}
	return d, nil, nil
}

// ZoneVerdict is the result of judging a zone.
type ZoneVerdict struct {
	Status Status
	Reason Reason  // why it is not Secure
	Keys   *KeySet // of a Secure zone, else nil
}

// JudgeZone judges a zone by what is known of its keys and of the chain of trust
// that leads to it, as Validate does for a response.
func (e *Evidence) JudgeZone(zone Name) (*ZoneVerdict, []Need, error) {
	e.begin()
	st, err := e.zone(zone)
	if err == errPending {
		return nil, e.needs, nil
	}
	if err != nil {
		return nil, nil, err
	}
	return &ZoneVerdict{st.status, st.reason, st.keys}, nil, nil
}

func (e *Evidence) judge(r *Response) (*Verdict, error) {
	v := &Verdict{Status: Secure, TTL: math.MaxUint32}
	var buf [4]step // aliases are rare, chains of them more so
	steps, sname, ok := r.follow(buf[:0])
	if !ok || len(steps) > maxAnswerSets || r.Kind == KindReferral {
		v.add(judgement{status: Bogus, reason: Reason{Code: ReasonAlias, Name: r.Name, Type: r.Type}})
		return v, nil
	}
	waiting := false
	note := func(err error) error {
		if err == errPending {
			waiting = true // go on, so that all needs are known at once
			return nil
		}
		return err
	}
	for _, s := range steps {
		if err := note(e.judgeStep(v, s, r)); err != nil {
			return nil, err
		}
	}
	for _, sv := range v.Sets {
		v.addRecords(sv.Expansion, sv.TTL, sv.Zone)
	}
	switch r.Kind {
	case KindNoData:
		if err := note(e.judgeDenial(v, sname, r, (*proof).noData)); err != nil {
			return nil, err
		}
	case KindNameError:
		if err := note(e.judgeDenial(v, sname, r, (*proof).nameError)); err != nil {
			return nil, err
		}
	case KindAnswer, KindAlias:
		if err := note(e.judgeBeside(v, r)); err != nil {
			return nil, err
		}
	case KindReferral:
	}
	if waiting {
		return nil, errPending
	}
	if v.TTL == math.MaxUint32 { // a negative response without SOA, RFC 2308 §5
		v.TTL = 0
	}
	return v, nil
}

// judgeBeside judges the denials beside a Secure answer that it does not need, and
// remembers them: see deniedBeside.
func (e *Evidence) judgeBeside(v *Verdict, r *Response) error {
	holdsDenial := slices.ContainsFunc(r.Authority, func(s *RRset) bool { return isDenial(s.Type) })
	zone := e.zones[v.Zone]
	if v.Status != Secure || zone == nil || zone.keys == nil || !holdsDenial {
		return nil // not Secure, or not yet
	}
	if !slices.Contains(e.beside, r) {
		e.beside = append(e.beside, r)
	}
	return e.judgeSpare(v, zone.keys, r)
}

// judgeStep judges one RRset of the answer, with the proof that a wildcard takes.
func (e *Evidence) judgeStep(v *Verdict, s step, r *Response) error {
	if s.synthesised {
		if last := len(v.Sets) - 1; last >= 0 { // the DNAME; absent while that waits
			made := v.Sets[last]
			v.Sets = append(v.Sets, SetVerdict{Set: s.set, Status: made.Status, TTL: made.TTL, Zone: made.Zone})
		}
		return nil
	}
	j, err := e.judgeSet(s.set, parentSide(s.set.Owner, s.set.Type))
	if err != nil {
		return err
	}
	sv := SetVerdict{Set: s.set, Status: j.status, TTL: j.ttl, Zone: j.zone, Wildcard: j.wildcard}
	v.chain = append(v.chain, chainPart{keys: j.keys, via: j.via})
	if j.wildcard != "" {
		if err := e.judgeExpansion(v, &sv, j, r); err != nil {
			return err
		}
	}
	v.add(j)
	v.Sets = append(v.Sets, sv)
	return nil
}

// judgeExpansion judges the proof for an RRset made from a wildcard.
func (e *Evidence) judgeExpansion(v *Verdict, sv *SetVerdict, j judgement, r *Response) error {
	if sv.Set.Type == dns.TypeDNAME { // what it would redirect is undefined, RFC 6672 §3.3
		v.add(judgement{status: Bogus, reason: Reason{Code: ReasonWildcard, Name: sv.Set.Owner, Type: sv.Set.Type}})
		sv.Status = Bogus
		return nil
	}
	d, err := e.judgeWildcard(sv.Set, j, r)
	if err != nil {
		return err
	}
	v.add(d.judgement)
	sv.Status, sv.TTL, sv.Expansion = sv.Status.Worst(d.status), min(sv.TTL, d.ttl), d.records
	return nil
}

// judgeDenial judges the proof that a negative response takes.
func (e *Evidence) judgeDenial(v *Verdict, sname dnsname.Name, r *Response, prove prover) error {
	var d denial
	if st := e.deniedFromAbove(sname, r); st != nil {
		d.judgement = st.judgement(math.MaxUint32)
	} else {
		var err error
		if d, err = e.deny(sname, r.Type, r, prove); err != nil {
			return err
		}
	}
	v.chain = append(v.chain, chainPart{keys: d.keys, via: d.via})
	if d.proven {
		v.Denial = d.denial(r.Kind == KindNameError, d.records)
	}
	v.addRecords(d.records, d.ttl, d.zone)
	if err := e.judgeSOA(v, d, r); err != nil {
		return err
	}
	v.add(d.judgement)
	if !d.proven || d.status != Secure {
		return nil
	}
	return e.judgeSpare(v, d.keys, r)
}

// deniedFromAbove returns the state of the zone that denies name, if it stands above the
// trust anchor that name is below and in no island of trust itself: nil otherwise. It
// denies that the anchored zone is there. Its own say is Indeterminate (RFC 4033 §5), and
// so is the denial: not a Secure zone's, nor a Bogus one, since what is denied would have
// to be signed only if it existed. It counts for the denial alone, never for whether
// records of the anchored zone have to be signed; and only if the zone has signed it,
// since a bare one may as well be the anchored zone's, stripped of its proof.
func (e *Evidence) deniedFromAbove(name dnsname.Name, r *Response) *zoneState {
	point := e.trustPoint(name, parentSide(name, r.Type))
	if point.kind != trustAnchored || r.Zone.IsAtOrBelow(point.zone) {
		return nil
	}
	for _, set := range r.Authority {
		if set.Type == dns.TypeSOA && point.zone.IsBelow(set.Owner) && len(signers(set, set.Owner, false, set.Owner)) > 0 {
			return e.trustPoint(set.Owner, false).withoutChain(set.Owner)
		}
	}
	return nil
}

// judgeSpare lists the NSEC and NSEC3 records that no proof took but that the same
// zone signed: a validator behind this one may take another path.
func (e *Evidence) judgeSpare(v *Verdict, keys *KeySet, r *Response) error {
	for _, set := range r.Authority {
		if !isDenial(set.Type) || !set.Owner.IsAtOrBelow(keys.Zone) || v.has(set) {
			continue
		}
		good, reason, err := e.verifiedBy(set, keys)
		if err != nil {
			return err
		}
		if reason.Code == ReasonNone && good.wildcard == "" {
			v.Sets = append(v.Sets, SetVerdict{Set: set, Status: Secure, TTL: good.ttl, Zone: keys.Zone})
		}
	}
	return nil
}

// isDenial reports whether records of the type prove nonexistence.
func isDenial(rrtype uint16) bool { return rrtype == dns.TypeNSEC || rrtype == dns.TypeNSEC3 }

// judgeSOA judges the SOA of a negative response. Beside a proof it has to be the
// proving zone's (RFC 2308 §2).
func (e *Evidence) judgeSOA(v *Verdict, d denial, r *Response) error {
	for _, set := range r.Authority {
		if set.Type != dns.TypeSOA {
			continue
		}
		j := judgement{status: d.status, reason: d.reason, ttl: set.TTL}
		if d.proven {
			var err error
			if j, err = e.judgeSet(set, false); err != nil {
				return err
			}
			if j.status == Secure && j.zone != d.zone {
				j = judgement{status: Bogus, reason: Reason{Code: ReasonSigner, Name: set.Owner, Type: set.Type}}
			}
		}
		v.add(j)
		v.Sets = append(v.Sets, SetVerdict{Set: set, Status: j.status, TTL: j.ttl, Zone: j.zone})
	}
	return nil
}

// addRecords lists the records of a proof, each once.
func (v *Verdict) addRecords(records []*RRset, ttl uint32, zone dnsname.Name) {
	for _, set := range records {
		if !v.has(set) {
			v.Sets = append(v.Sets, SetVerdict{Set: set, Status: Secure, TTL: ttl, Zone: zone})
		}
	}
}

func (v *Verdict) has(set *RRset) bool {
	return slices.ContainsFunc(v.Sets, func(sv SetVerdict) bool { return sv.Set == set })
}
