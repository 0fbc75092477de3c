package zonecheck

import (
	"context"
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"

	"github.com/iterdns/iterdns/internal/answer"
	"github.com/iterdns/iterdns/internal/dnsname"
)

const (
	// repeatAfter is how long after a round the same question may be put to the servers of a zone
	// again. Secondaries learn of a change within seconds (NOTIFY, RFC 1996), so that asking more
	// often finds nothing sooner.
	repeatAfter = time.Second
	// zoneEvery is how long after a round another question may be put to the servers of the same
	// zone: 200 names of one certificate are asked within Limits.Time, and made-up names cannot
	// make a flood of what one zone says are its servers.
	zoneEvery = 50 * time.Millisecond
	// maxRounds is how many zones and questions are remembered: those of a second on a busy
	// machine.
	maxRounds = 4096
)

// Waits between the rounds of a wait for a change.
const (
	// FirstWait is the first: secondaries that get NOTIFY are up to date by then.
	FirstWait = 2 * time.Second
	// MaxWait is the longest: each wait is twice as long as the one before.
	MaxWait = 30 * time.Second
	// WaitInAll is how long a change is waited for where the caller has set no end. ACME servers
	// keep an order open for longer, but a zone that has not changed within an hour (RFC 1912 §2.2:
	// the refresh of a zone is 20 minutes and more) will not by being asked.
	WaitInAll = time.Hour
)

// NextWait returns the wait after one of that length; 0: the first.
func NextWait(last time.Duration) time.Duration {
	return min(max(2*last, FirstWait), MaxWait)
}

// rounds decides when the servers of a zone may be asked again.
type rounds struct {
	mu    sync.Mutex
	turns *simplelru.LRU[round, *turns] // guarded by mu
}

// round is a question to the servers of a zone; without a name: any.
type round struct {
	zone dnsname.Name
	q    answer.Question
}

// turns are the rounds of one kind, one after the other.
type turns struct {
	first chan struct{} // holds what the first of those that wait has put there
	next  time.Time     // when the next may begin; belongs to the first
}

func newRounds() rounds {
	all, _ := simplelru.NewLRU[round, *turns](maxRounds, nil) // fails only for sizes below one
	return rounds{turns: all}
}

// wait waits until the next round may begin: first until the question may be asked again, so that who
// waits for that holds up no other, and then until the zone may be asked.
func (r *rounds) wait(ctx context.Context, zone dnsname.Name, q answer.Question) error {
	if err := r.of(round{zone, q}).wait(ctx, repeatAfter); err != nil {
		return err
	}
	return r.of(round{zone: zone}).wait(ctx, zoneEvery)
}

// of returns the turns of a kind of round.
func (r *rounds) of(kind round) *turns {
	r.mu.Lock()
	defer r.mu.Unlock()
	t, ok := r.turns.Get(kind)
	if !ok {
		t = &turns{first: make(chan struct{}, 1)}
		r.turns.Add(kind, t)
	}
	return t
}

// wait waits for a turn, behind those that came before. The next one is later by pause. Who gives up
// before its turn takes none.
func (t *turns) wait(ctx context.Context, pause time.Duration) error {
	select {
	case t.first <- struct{}{}:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	defer func() { <-t.first }()
	timer := time.NewTimer(time.Until(t.next))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	t.next = time.Now().Add(pause)
	return nil
}
