package resolver

import (
	"context"

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
func (r *Resolver) chainOf(ctx context.Context, st *queryState, a *answer) []dnssec.Link {
	st.begin()
	val := r.iterate.newValidation(st, a.q)
	if val == nil || a.stale {
		return nil
	}
	// Fetches that are still under way when this returns are useless.
	ctx, cancel := context.WithDeadline(ctx, st.budget.deadline)
	defer cancel()
	now := r.config.Now()
	val.keyCache.load(now, a.q.name, val.evidence)
	for _, step := range a.aliases {
		val.keyCache.load(now, step.To, val.evidence)
	}
	response := a.response("") // of several zones, with the aliases
	verdict, err := val.validate(ctx, response)
	if err != nil || verdict.Status != a.status {
		return nil
	}
	return verdict.Chain(response)
}
