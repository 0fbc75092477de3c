package resolver

import (
	"slices"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/internal/dnsname"
	"github.com/iterdns/iterdns/internal/scrub"
)

// join appends what is known of the name that a chain of aliases has led to, and returns the
// chain: next itself where that is its start, and a is nil.
func (a *answer) join(next *answer) *answer {
	if next.kind != kindAlias {
		next.aliases = nil // a referral may have brought the DS asked for beside aliases
	}
	if a == nil {
		next.ttl = min(next.ttl, maxTTL)
		// The slices appended to may belong to a response that is shared.
		next.aliases, next.denial = slices.Clip(next.aliases), slices.Clip(next.denial)
		return next
	}
	a.kind, a.rcode, a.sets, a.soa = next.kind, next.rcode, next.sets, next.soa
	a.aliases = append(a.aliases, next.aliases...)
	a.denial = append(a.denial, next.denial...) // for an alias: the proof of its wildcard
	a.status, a.ttl = a.status.Worst(next.status), min(a.ttl, next.ttl)
	a.fromCache, a.local = a.fromCache && next.fromCache, a.local && next.local
	a.stale, a.due = a.stale || next.stale, append(a.due, next.due...)
	a.extended = append(a.extended, next.extended...)
	if next.notKept != nil {
		a.notKept = next.notKept
	}
	return a
}

// follow goes along the last steps of a chain, and reports whether they lead to another name.
// pay is called for each.
func (a *answer) follow(steps int, pay func() error) (more bool, err error) {
	if a.kind != kindAlias {
		return false, nil
	}
	for i := len(a.aliases) - steps; i < len(a.aliases); i++ {
		if err := pay(); err != nil {
			return false, err
		}
		step := a.aliases[i]
		switch {
		case step.TooLong:
			a.aliases, a.rcode = a.aliases[:i+1], dns.RcodeYXDomain
			return false, nil
		case a.visited(i):
			return false, errAliasLoop
		case step.IsDNAME() && isAliasType(a.q.rrtype):
			a.aliases = a.aliases[:i+1] // the CNAME made of it is what was asked for
			return false, nil
		}
	}
	a.rcode = dns.RcodeSuccess // that of the last name counts (RFC 6604 §3)
	return true, nil
}

// visited reports whether an earlier part of the chain has the name that the i-th step leads
// to.
func (a *answer) visited(i int) bool {
	to := a.aliases[i].To
	return to == a.q.name || slices.ContainsFunc(a.aliases[:i], func(step scrub.Alias) bool { return step.To == to })
}

// target is the name that a chain has reached.
func (a *answer) target() dnsname.Name { return a.aliases[len(a.aliases)-1].To }
