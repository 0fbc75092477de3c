package answer

import (
	"slices"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/internal/dnsname"
	"github.com/iterdns/iterdns/internal/failure"
	"github.com/iterdns/iterdns/internal/scrub"
)

// Join appends what is known of the name that a chain of aliases has led to, and returns the
// chain: next itself where that is its start, and a is nil.
func (a *Answer) Join(next *Answer) *Answer {
	if next.Kind != KindAlias {
		next.Aliases = nil // a referral may have brought the DS asked for beside aliases
	}
	if a == nil {
		next.TTL = min(next.TTL, MaxTTL)
		// The slices appended to may belong to a response that is shared.
		next.Aliases, next.Denial = slices.Clip(next.Aliases), slices.Clip(next.Denial)
		return next
	}
	a.Kind, a.Rcode, a.Sets, a.SOA = next.Kind, next.Rcode, next.Sets, next.SOA
	a.Aliases = append(a.Aliases, next.Aliases...)
	a.Denial = append(a.Denial, next.Denial...) // for an alias: the proof of its wildcard
	a.Status, a.TTL = a.Status.Worst(next.Status), min(a.TTL, next.TTL)
	a.FromCache, a.Local = a.FromCache && next.FromCache, a.Local && next.Local
	a.Fallback = a.Fallback || next.Fallback
	a.Stale, a.Due = a.Stale || next.Stale, append(a.Due, next.Due...)
	a.OverBogus = a.OverBogus || next.OverBogus
	for _, e := range next.Extended {
		if !slices.Contains(a.Extended, e) { // as where a negative trust anchor is above both
			a.Extended = append(a.Extended, e)
		}
	}
	if next.NotKept != nil {
		a.NotKept = next.NotKept
	}
	return a
}

// Follow goes along the last steps of a chain, and reports whether they lead to another name.
// pay is called for each.
func (a *Answer) Follow(steps int, pay func() error) (more bool, err error) {
	if a.Kind != KindAlias {
		return false, nil
	}
	for i := len(a.Aliases) - steps; i < len(a.Aliases); i++ {
		if err := pay(); err != nil {
			return false, err
		}
		step := a.Aliases[i]
		switch {
		case step.TooLong:
			a.Aliases, a.Rcode = a.Aliases[:i+1], dns.RcodeYXDomain
			return false, nil
		case a.visited(i):
			return false, a.loop(i)
		case step.IsDNAME() && IsAliasType(a.Q.Type):
			a.Aliases = a.Aliases[:i+1] // the CNAME made of it is what was asked for
			return false, nil
		}
	}
	a.Rcode = dns.RcodeSuccess // that of the last name counts (RFC 6604 §3)
	return true, nil
}

// visited reports whether an earlier part of the chain has the name that the i-th step leads
// to.
func (a *Answer) visited(i int) bool {
	to := a.Aliases[i].To
	return to == a.Q.Name || slices.ContainsFunc(a.Aliases[:i], func(step scrub.Alias) bool { return step.To == to })
}

// loop returns the error of a chain whose i-th step leads back.
func (a *Answer) loop(i int) error {
	names := []dnsname.Name{a.Q.Name}
	for _, step := range a.Aliases[:i+1] {
		names = append(names, step.To)
	}
	return &failure.AliasLoopError{Names: names[slices.Index(names, a.Aliases[i].To):]}
}

// Target is the name that a chain has reached.
func (a *Answer) Target() dnsname.Name { return a.Aliases[len(a.Aliases)-1].To }
