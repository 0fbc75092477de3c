package flight

import (
	"context"
	"slices"
	"sync"
	"time"
)

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

// life is the context of a flight: it ends with the flight, with the resolver, or with the
// time of the question. Most flights end before anybody waits for that, and need the
// deadline only. A context of package context, with its timer, is therefore made when
// somebody asks for Done or a value, which is also how contexts derived from this one find it.
type life struct {
	of       *Flight
	group    *Group
	base     context.Context // ends with the resolver
	values   context.Context // of the caller that began the flight
	deadline time.Time
	late     error // the cause of the end by the deadline

	mu     sync.Mutex
	ended  bool            // guarded by mu, as all below
	made   context.Context // nil: nobody has asked for it
	cancel context.CancelFunc
	leads  []*Flight // that run in a goroutine of this flight
	one    [1]*Flight
	closer Closer // nil: none
}

// Closer is what the end of a flight closes.
type Closer interface{ Close() }

func (l *life) Deadline() (time.Time, bool) { return l.deadline, true }

func (l *life) Done() <-chan struct{} { return l.full().Done() }

// flightOf is the key of the flight of a group that a context belongs to.
type flightOf struct{ group *Group }

func (l *life) Value(key any) any {
	if key == (flightOf{l.group}) {
		return l.of
	}
	return l.full().Value(key)
}

func (l *life) Err() error {
	l.mu.Lock()
	alive := l.made == nil && !l.ended
	l.mu.Unlock()
	if alive && l.base.Err() == nil && time.Now().Before(l.deadline) {
		return nil
	}
	return l.full().Err()
}

// full returns the same context as package context has it.
func (l *life) full() context.Context {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.made == nil {
		l.made, l.cancel = context.WithDeadlineCause(Detach(l.base, l.values), l.deadline, l.late)
		if l.ended {
			l.cancel()
		}
	}
	return l.made
}

// end ends the context, and returns the flights that ran in a goroutine of this one.
func (l *life) end() []*Flight {
	l.mu.Lock()
	l.ended = true
	cancel, leads, closer := l.cancel, l.leads, l.closer
	l.leads, l.closer = nil, nil
	l.mu.Unlock()
	if cancel != nil {
		cancel()
	}
	if closer != nil {
		closer.Close()
	}
	return leads
}

// begins notes that the flight leads another one; false when it has ended.
func (l *life) begins(led *Flight) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended {
		return false
	}
	if l.leads == nil {
		l.leads = l.one[:0] // there is hardly ever more than one
	}
	l.leads = append(l.leads, led)
	return true
}

// led returns the flights that run in a goroutine of this one.
func (l *life) led() []*Flight {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.leads)
}

// finishes undoes begins.
func (l *life) finishes(led *Flight) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i, other := range l.leads {
		if other == led {
			last := len(l.leads) - 1
			l.leads[i], l.leads[last] = l.leads[last], nil
			l.leads = l.leads[:last]
			return
		}
	}
}

// CloseAtEnd has the end of the flight close c, and no longer what was to be closed before;
// nil: nothing. It returns false, and c is not closed, if the flight has ended. The deadline of
// the flight's context closes nothing, and neither does the end of the resolver, which closes its
// sockets itself.
func (fl *Flight) CloseAtEnd(c Closer) bool {
	fl.life.mu.Lock()
	defer fl.life.mu.Unlock()
	if fl.life.ended {
		return false
	}
	fl.life.closer = c
	return true
}
