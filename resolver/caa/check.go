package caa

import (
	"context"
	"fmt"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/resolver"
)

// Check looks up the CAA records that count for a name, and says whether the authority may issue.
// It climbs from the name to the top-level domain until a name has CAA records (RFC 8659 §3). An
// alias is followed for the question of each name; the climb goes on from the name, not from the
// alias's target.
//
// A look-up that fails because of the name servers is made again after Request.RetryWait. If the
// name is then proven to be unsigned, it counts as one without records, the climb goes on, and the
// Outcome is FailedUnsigned at best; otherwise the Check ends.
//
// The error is a *NameError or ErrRequest; then nothing was asked. Everything else is a Verdict,
// also the end of ctx: look at its Outcome. Check may be called from several goroutines.
func Check(ctx context.Context, r *resolver.Resolver, name string, q Request) (*Verdict, error) {
	t, err := newTarget(name, q)
	if err != nil {
		return nil, err
	}
	o := r.Options()
	if resolver.IsSpecialUse(t.name.String()) && !o.DisableLocalZones && len(o.Routes) == 0 {
		return nil, &NameError{name, NameSpecialUse}
	}
	v := &Verdict{Name: t.name.String(), Wildcard: t.wildcard, Mail: t.Mail}
	c := &check{r: r, now: time.Now, wait: orDefault(q.RetryWait, DefaultRetryWait)}
	if o.SignatureTime != nil {
		c.now = o.SignatureTime
	}
	if c.validator, err = dnssec.New(dnssec.Options{Anchors: o.TrustAnchors, Algorithms: o.Algorithms}); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrRequest, err)
	}
	if limit := orDefault(q.Time, DefaultTime); limit > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, limit)
		defer cancel()
	}
	v.Started = c.now()
	c.climb(ctx, t, v)
	v.Ended = c.now()
	if v.Outcome == Permitted {
		v.IssueBefore = v.Ended.Add(max(MinReuse, v.relevantTTL()))
	}
	return v, nil
}

// relevantTTL is the TTL of the records that decide; zero where there are none.
func (v *Verdict) relevantTTL() time.Duration {
	if last := len(v.Lookups) - 1; last >= 0 && v.Relevant != "" {
		return v.Lookups[last].TTL
	}
	return 0
}

func orDefault(d, otherwise time.Duration) time.Duration {
	if d == 0 {
		return otherwise
	}
	return d
}

// check is the work on one Check.
type check struct {
	r         *resolver.Resolver
	validator *dnssec.Validator // of the resolver's anchors, without negative ones
	now       func() time.Time  // the clock of signatures
	wait      time.Duration     // before a retry; negative: none
	proven    []dnssec.Name     // delegations that have no DS
	proofs    int               // look-ups of DS that were made
}

// climb looks up name after name until there are records, or a look-up fails.
func (c *check) climb(ctx context.Context, t *target, v *Verdict) {
	v.Status = dnssec.Secure
	unsigned := false
	var set *dnssec.RRset
	for n := t.name; !n.IsRoot() && set == nil; n = n.Parent() {
		l := c.lookup(ctx, n, dns.TypeCAA)
		v.Lookups = append(v.Lookups, l)
		if l.Err == nil {
			if v.Status, set = v.Status.Worst(l.Status), l.Set; set != nil {
				v.Relevant = n.String()
			}
			continue
		}
		if v.Err == nil {
			v.Err = l.Err
		}
		if v.Outcome = c.failure(ctx, &l, v); v.Outcome != FailedUnsigned {
			v.Status = v.Status.Worst(l.Status)
			return
		}
		unsigned, v.Status = true, v.Status.Worst(dnssec.Insecure)
	}
	d := t.decide(set)
	v.Property, v.Properties = d.Property, d.Properties
	switch {
	case !d.Permitted:
		v.Outcome, v.Reason = Denied, d.Reason
	case unsigned:
		v.Outcome = FailedUnsigned
	default:
		v.Outcome, v.Reason = Permitted, d.Reason
	}
}
