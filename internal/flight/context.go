package flight

import "context"

// detachedContext is a context that ends with the resolver and has the values of a caller's.
type detachedContext struct {
	context.Context
	values context.Context
}

// Detach returns a context with the end of base and the values of ctx.
func Detach(base, ctx context.Context) context.Context { return detachedContext{base, ctx} }

// Value returns the resolver's own values first: package context uses them to find out which
// cancellation a context depends on.
func (l detachedContext) Value(key any) any {
	if v := l.Context.Value(key); v != nil {
		return v
	}
	return l.values.Value(key)
}
