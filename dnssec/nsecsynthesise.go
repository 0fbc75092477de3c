package dnssec

import "github.com/iterdns/iterdns/internal/dnsname"

// Synthesise tries to answer a question from denial records that a cache kept of
// earlier responses (RFC 8198). All of records have to be Secure and signed by zone,
// the zone that holds name; those that prove nothing are passed over, and those of
// opt-out ranges and of compact denial too, since they speak of single names. It
// returns nil when nothing follows.
//
// At most Limits.NSEC3Records NSEC3 records may be given.
//
// If the result has a Wildcard, name does not exist, but what would answer for it
// does, and the cache may know its data.
func Synthesise(zone, name Name, rrtype uint16, records []*RRset, work *Work) (*Denial, error) {
	if !name.IsAtOrBelow(zone) || parentSide(name, rrtype) && name == zone {
		return nil, nil
	}
	secure := func(set *RRset) (verified, Reason, error) { return verified{ttl: set.TTL}, Reason{}, nil }
	p, err := newProof(zone, records, work, secure)
	if err != nil {
		return nil, err
	}
	for _, try := range []struct {
		prove     prover
		nameError bool
	}{{(*proof).nameError, true}, {(*proof).noData, false}} {
		p.records = nil
		f, err := try.prove(p, name, rrtype)
		if err != nil {
			return nil, err
		}
		if f.proven && !f.optOut && !f.iterations && !f.compact {
			return f.denial(try.nameError, p.records), nil
		}
	}
	p.records = nil
	f, err := p.choose(
		func() (finding, error) { return p.nsecDenied(name) },
		func() (finding, error) { return p.encloserProof(name) })
	if err != nil || !f.proven || f.optOut || f.iterations {
		return nil, err
	}
	d := f.denial(false, p.records)
	if d.Wildcard, err = f.closestEncloser.Wildcard(); err != nil {
		return nil, nil // too long to exist; then the name error was proven above
	}
	return d, nil
}

// nsecDenied asks for a proof that name does not exist, whatever wildcards there are.
func (p *proof) nsecDenied(name dnsname.Name) (finding, error) {
	n, err := p.nsecDenying(name)
	if n == nil || err != nil {
		return finding{}, err
	}
	f := n.denied(name)
	f.proven = true
	return f, nil
}

// denial returns the finding in the form for callers.
func (f *finding) denial(nameError bool, records []*RRset) *Denial {
	return &Denial{
		NameError:       nameError || f.compact,
		Compact:         f.compact,
		OptOut:          f.optOut,
		ClosestEncloser: f.closestEncloser,
		NextCloser:      f.nextCloser,
		Records:         records,
	}
}
