package resolver

import (
	"context"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/dnssec"
)

type chainKey struct{}

// WithChain returns a context with which Resolve fills Result.Chain, or Error.Chain when
// the answer is bogus. Without it chains cost nothing.
func WithChain(ctx context.Context) context.Context {
	return context.WithValue(ctx, chainKey{}, true)
}

func wantsChain(ctx context.Context) bool { return ctx.Value(chainKey{}) != nil }

// chainOf returns the chain of trust of an answer, as Result.Chain describes; nil when it
// cannot be had. The answer is validated once more, with the keys proven before, so that
// the chain holds now and for this very answer, whether that was fetched, came from the
// cache, or was shared with another caller. It spends from the budget of the question.
func (r *Resolver) chainOf(ctx context.Context, st *step, f *found) []dnssec.Link {
	st.begin()
	p := r.newProof(st, f.q)
	if p == nil || f.stale {
		return nil
	}
	// Fetches that are still under way when this returns are useless.
	ctx, cancel := context.WithDeadline(ctx, st.budget.deadline)
	defer cancel()
	whole := f.whole()
	now := r.config.Now()
	p.proven.load(now, f.q.name, p.ev)
	for _, step := range f.aliases {
		p.proven.load(now, step.To, p.ev)
	}
	verdict, response, err := p.validate(ctx, whole)
	if err != nil || verdict.Status != f.status {
		return nil
	}
	return verdict.Chain(response)
}

// whole returns an answer as one finding, the alias chain included.
func (f *found) whole() *finding {
	w := &finding{
		q: f.q, rcode: f.rcode, sets: f.sets, aliases: f.aliases, soa: f.soa, denial: f.denial,
	}
	switch {
	case len(f.sets) > 0:
		w.kind = kindAnswer
	case f.endsInAlias():
		w.kind = kindAlias
	case f.rcode == dns.RcodeNameError:
		w.kind = kindNameError
	default:
		w.kind = kindNoData
	}
	return w
}

// endsInAlias reports whether the last alias is the answer: one that makes the name too
// long (RFC 6672 §2.2), or the CNAME asked for, made of a DNAME.
func (f *found) endsInAlias() bool {
	if len(f.aliases) == 0 {
		return false
	}
	last := f.aliases[len(f.aliases)-1]
	return last.TooLong || last.IsDNAME() && isAliasType(f.q.rrtype)
}
