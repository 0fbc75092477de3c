package resolver

import (
	"context"
	"sync"

	"golang.org/x/sync/semaphore"
)

// concurrencyLimits bounds for each of many keys how many slots are held at once; other
// callers wait in line. A key takes memory only while a slot is held or waited for.
type concurrencyLimits[K comparable] struct {
	limit int64

	mu    sync.Mutex
	byKey map[K]*concurrencyLimit // guarded by mu
}

type concurrencyLimit struct {
	slots *semaphore.Weighted
	users int // that hold a slot or wait; guarded by concurrencyLimits.mu
}

func newConcurrencyLimits[K comparable](limit int) *concurrencyLimits[K] {
	return &concurrencyLimits[K]{limit: int64(limit), byKey: make(map[K]*concurrencyLimit)}
}

// enter waits for a slot and returns the function that releases it. It fails when ctx ends
// first.
func (g *concurrencyLimits[K]) enter(ctx context.Context, key K) (leave func(), err error) {
	g.mu.Lock()
	at := g.byKey[key]
	if at == nil {
		at = &concurrencyLimit{slots: semaphore.NewWeighted(g.limit)}
		g.byKey[key] = at
	}
	at.users++
	g.mu.Unlock()
	if err := at.slots.Acquire(ctx, 1); err != nil {
		g.forget(key, at)
		return nil, context.Cause(ctx)
	}
	return func() {
		at.slots.Release(1)
		g.forget(key, at)
	}, nil
}

// acquire is enter for a query. While it waits, the budget of its question knows for which
// limit; when it waits in vain, the error says so.
func acquire[K comparable](ctx context.Context, b *budget, g *concurrencyLimits[K], key K, l limit) (leave func(), err error) {
	if leave, ok := g.tryEnter(key); ok {
		return leave, nil
	}
	release := b.noteWait(l)
	leave, err = g.enter(ctx, key)
	release()
	if err == nil || failureOf(err).is(failCanceled) { // cancelled: the slot is not needed any more
		return leave, err
	}
	return nil, b.waitedInVain(l, err)
}

// tryEnter is enter that does not wait.
func (g *concurrencyLimits[K]) tryEnter(key K) (leave func(), ok bool) {
	g.mu.Lock()
	at := g.byKey[key]
	if at == nil {
		at = &concurrencyLimit{slots: semaphore.NewWeighted(g.limit)}
	}
	if ok = at.slots.TryAcquire(1); ok {
		g.byKey[key] = at
		at.users++
	}
	g.mu.Unlock()
	return func() {
		at.slots.Release(1)
		g.forget(key, at)
	}, ok
}

func (g *concurrencyLimits[K]) forget(key K, at *concurrencyLimit) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if at.users--; at.users == 0 {
		delete(g.byKey, key)
	}
}
