package budget

import (
	"context"
	"sync"

	"golang.org/x/sync/semaphore"

	"github.com/iterdns/iterdns/internal/failure"
	"github.com/iterdns/iterdns/internal/limits"
)

// ConcurrencyLimits bounds for each of many keys how many slots are held at once; other
// callers wait in line. A key takes memory only while a slot is held or waited for.
type ConcurrencyLimits[K comparable] struct {
	limit int64

	mu    sync.Mutex
	ByKey map[K]*concurrencyLimit // guarded by mu
}

type concurrencyLimit struct {
	slots *semaphore.Weighted
	users int // that hold a slot or wait; guarded by ConcurrencyLimits.mu
}

func NewConcurrencyLimits[K comparable](limit int) *ConcurrencyLimits[K] {
	return &ConcurrencyLimits[K]{limit: int64(limit), ByKey: make(map[K]*concurrencyLimit)}
}

// Enter waits for a slot and returns the function that releases it. It fails when ctx ends
// first.
func (g *ConcurrencyLimits[K]) Enter(ctx context.Context, key K) (leave func(), err error) {
	g.mu.Lock()
	at := g.ByKey[key]
	if at == nil {
		at = &concurrencyLimit{slots: semaphore.NewWeighted(g.limit)}
		g.ByKey[key] = at
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

// Acquire is Enter for a query. While it waits, the budget of its question knows for which
// limit; when it waits in vain, the error says so.
func Acquire[K comparable](ctx context.Context, b *Budget, g *ConcurrencyLimits[K], key K, l limits.Limit) (leave func(), err error) {
	if leave, ok := g.TryEnter(key); ok {
		return leave, nil
	}
	release := b.NoteWait(l)
	leave, err = g.Enter(ctx, key)
	release()
	if err == nil || failure.Of(err).Is(failure.Canceled) { // cancelled: the slot is not needed any more
		return leave, err
	}
	return nil, b.WaitedInVain(l, err)
}

// TryEnter is Enter that does not wait.
func (g *ConcurrencyLimits[K]) TryEnter(key K) (leave func(), ok bool) {
	g.mu.Lock()
	at := g.ByKey[key]
	if at == nil {
		at = &concurrencyLimit{slots: semaphore.NewWeighted(g.limit)}
	}
	if ok = at.slots.TryAcquire(1); ok {
		g.ByKey[key] = at
		at.users++
	}
	g.mu.Unlock()
	return func() {
		at.slots.Release(1)
		g.forget(key, at)
	}, ok
}

func (g *ConcurrencyLimits[K]) forget(key K, at *concurrencyLimit) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if at.users--; at.users == 0 {
		delete(g.ByKey, key)
	}
}
