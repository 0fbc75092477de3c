package secondlevel

import (
	"sync"
	"time"
)

// paceWindow is for how long a pace counts: long enough to have one read in it that nothing
// held up, short enough to notice a store that has become slow.
const paceWindow = time.Second

// pace is how long the store itself takes for a read: the least time that a read took
// lately. Reads that took longer spent the rest waiting for this host, as the propagation
// delay of a path is the least of its round trips.
type pace struct {
	mu           sync.Mutex
	since        time.Time     // when the present window began; zero: nothing is known; guarded by mu
	last, recent time.Duration // the least of the window before, and of the present one; guarded by mu
}

// note records how long a read took.
func (p *pace) note(took time.Duration, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.since.IsZero():
		p.last, p.recent, p.since = took, took, now
	case now.Sub(p.since) < paceWindow:
		p.recent = min(p.recent, took)
	default:
		p.last, p.recent, p.since = p.recent, took, now
	}
}

// least is the pace; 0 as long as nothing is known.
func (p *pace) least() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return min(p.last, p.recent)
}
