package dnssec

import "github.com/iterdns/iterdns/internal/dnsname"

// noCloser asks for a proof that an answer for name was rightly made from wildcard:
// the name one label longer than the wildcard's parent does not exist (RFC 4035
// §5.3.4, RFC 5155 §8.8). The parent needs no proof: the signed wildcard is one.
func (p *proof) noCloser(name, wildcard dnsname.Name) (finding, error) {
	encloser := wildcard.Parent()
	f := finding{closestEncloser: encloser, nextCloser: name.Ancestor(encloser.Labels() + 1)}
	return p.choose(
		func() (finding, error) {
			n, err := p.nsecDenying(f.nextCloser)
			f.proven = n != nil
			return f, err
		},
		func() (finding, error) {
			c, err := p.covering(f.nextCloser)
			if c == nil || err != nil {
				return finding{}, err
			}
			f.proven, f.optOut = true, c.optOut
			return f, nil
		})
}

// judgeWildcard judges an RRset that was made from a wildcard and is signed by its
// zone: the proof has to come from the same zone, which is where July 2026's
// advisories found it missing.
func (e *Evidence) judgeWildcard(set *RRset, j judgement, r *Response) (denial, error) {
	d, err := e.denyBy(j.keys, set.Owner, set.Type, r, func(p *proof, name dnsname.Name, _ uint16) (finding, error) {
		return p.noCloser(name, j.wildcard)
	})
	if err == nil && !d.proven && d.reason.Code <= ReasonWrongDenial && len(d.records) == 0 {
		d.reason = d.reason.further(Reason{Code: ReasonWildcard, Name: set.Owner, Type: set.Type})
	}
	return d, err
}
