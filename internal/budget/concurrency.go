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
	idle  []*concurrencyLimit     // of keys that are not used any more, to be used again; guarded by mu
}

// maxIdle is how many slots of unused keys are kept: as many keys as come and go in a moment.
const maxIdle = 64

type concurrencyLimit struct {
	slots *semaphore.Weighted
	users int // that hold a slot or wait; guarded by ConcurrencyLimits.mu
}

func NewConcurrencyLimits[K comparable](limit int) *ConcurrencyLimits[K] {
	return &ConcurrencyLimits[K]{limit: int64(limit), ByKey: make(map[K]*concurrencyLimit)}
}

// Slot is a slot that is held, until Leave. The zero value is none.
type Slot[K comparable] struct {
	of  *ConcurrencyLimits[K]
	key K
	at  *concurrencyLimit // nil: none
}

// Leave releases the slot. Only the first call counts.
func (s *Slot[K]) Leave() {
	if s.at == nil {
		return
	}
	s.at.slots.Release(1)
	s.of.forget(s.key, s.at)
	s.at = nil
}

// Enter waits for a slot. It fails when ctx ends first.
func (g *ConcurrencyLimits[K]) Enter(ctx context.Context, key K) (Slot[K], error) {
	g.mu.Lock()
	at := g.of(key)
	at.users++
	g.mu.Unlock()
	if err := at.slots.Acquire(ctx, 1); err != nil {
		g.forget(key, at)
		return Slot[K]{}, context.Cause(ctx)
	}
	return Slot[K]{g, key, at}, nil
}

// Acquire is Enter for a query. While it waits, the budget of its question knows for which
// limit; when it waits in vain, the error says so.
func Acquire[K comparable](ctx context.Context, b *Budget, g *ConcurrencyLimits[K], key K, l limits.Limit) (Slot[K], error) {
	if slot, ok := g.TryEnter(key); ok {
		return slot, nil
	}
	release := b.NoteWait(l)
	slot, err := g.Enter(ctx, key)
	release()
	if err == nil || failure.Of(err).Is(failure.Canceled) { // cancelled: the slot is not needed any more
		return slot, err
	}
	return slot, b.WaitedInVain(l, err)
}

// TryEnter is Enter that does not wait.
func (g *ConcurrencyLimits[K]) TryEnter(key K) (slot Slot[K], ok bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	at := g.of(key)
	if !at.slots.TryAcquire(1) {
		g.release(key, at)
		return slot, false
	}
	at.users++
	return Slot[K]{g, key, at}, true
}

// of returns the slots of a key. g.mu must be held.
func (g *ConcurrencyLimits[K]) of(key K) *concurrencyLimit {
	at := g.ByKey[key]
	switch last := len(g.idle) - 1; {
	case at != nil:
		return at
	case last >= 0:
		at, g.idle = g.idle[last], g.idle[:last]
	default:
		at = &concurrencyLimit{slots: semaphore.NewWeighted(g.limit)}
	}
	g.ByKey[key] = at
	return at
}

func (g *ConcurrencyLimits[K]) forget(key K, at *concurrencyLimit) {
	g.mu.Lock()
	defer g.mu.Unlock()
	at.users--
	g.release(key, at)
}

// release forgets a key whose slots nobody holds or waits for. g.mu must be held.
func (g *ConcurrencyLimits[K]) release(key K, at *concurrencyLimit) {
	if at.users > 0 {
		return
	}
	delete(g.ByKey, key)
	if len(g.idle) < maxIdle {
		g.idle = append(g.idle, at)
	}
}
