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
	mu   sync.Mutex
	next *simplelru.LRU[round, time.Time] // guarded by mu
}

// round is a question to the servers of a zone; without a name: any.
type round struct {
	zone dnsname.Name
	q    answer.Question
}

func newRounds() rounds {
	next, _ := simplelru.NewLRU[round, time.Time](maxRounds, nil) // fails only for sizes below one
	return rounds{next: next}
}

// wait waits until the next round may begin: first until the question may be asked again, so that who
// waits for that holds up no other, and then until the zone may be asked.
func (r *rounds) wait(ctx context.Context, zone dnsname.Name, q answer.Question) error {
	for _, turn := range []struct {
		of    round
		pause time.Duration
	}{{round{zone, q}, repeatAfter}, {round{zone: zone}, zoneEvery}} {
		timer := time.NewTimer(r.reserve(time.Now(), turn.of, turn.pause))
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return context.Cause(ctx)
		}
	}
	return nil
}

// reserve returns how long a round has to wait for its turn. The next one has to for longer by pause.
func (r *rounds) reserve(now time.Time, of round, pause time.Duration) time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	begin := now
	if next, ok := r.next.Get(of); ok && next.After(begin) {
		begin = next
	}
	r.next.Add(of, begin.Add(pause))
	return begin.Sub(now)
}
