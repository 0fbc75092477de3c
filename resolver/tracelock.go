package resolver

import (
	"context"
	"sync"
)

// withOneTrace returns a context whose questions may be asked concurrently without
// concurrent calls of its Trace's hooks.
func withOneTrace(ctx context.Context) context.Context {
	t := ContextTrace(ctx)
	if t == nil {
		return ctx
	}
	var mu sync.Mutex
	return WithTrace(ctx, t.guarded(&mu, func() bool { return true }))
}

// guarded returns a Trace that calls t's hooks one at a time, under mu, and only while open
// returns true.
func (t *Trace) guarded(mu *sync.Mutex, open func() bool) *Trace {
	return &Trace{
		Joined:       guard(t.Joined, mu, open),
		Cache:        guard(t.Cache, mu, open),
		SecondLevel:  guard(t.SecondLevel, mu, open),
		Start:        guard(t.Start, mu, open),
		Query:        guard(t.Query, mu, open),
		Response:     guard(t.Response, mu, open),
		Referral:     guard(t.Referral, mu, open),
		ServerLookup: guard(t.ServerLookup, mu, open),
		Alias:        guard(t.Alias, mu, open),
		Validated:    guard(t.Validated, mu, open),
		Done:         guard(t.Done, mu, open),
	}
}

func guard[Info any](hook func(Info), mu *sync.Mutex, open func() bool) func(Info) {
	if hook == nil {
		return nil
	}
	return func(info Info) {
		mu.Lock()
		defer mu.Unlock()
		if open() {
			hook(info)
		}
	}
}
