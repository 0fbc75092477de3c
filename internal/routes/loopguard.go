package routes

import (
	"crypto/rand"
	"encoding/base32"
	"maps"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/iterdns/iterdns/internal/answer"
	"github.com/iterdns/iterdns/internal/dnsname"
	"github.com/iterdns/iterdns/internal/expiring"
)

const (
	// LoopPause is how long a server that leads back to us is not asked. Loops are repaired
	// by hand.
	LoopPause = 30 * time.Second
	// probePause is how rarely one server is tested for a loop.
	probePause = 5 * time.Second
)

// LoopGuard remembers whether one server of a route leads back to us.
type LoopGuard struct {
	LoopsUntil atomic.Int64 // until when it is not asked because it leads back, Unix time in ns

	mu        sync.Mutex
	suspicion *loopSuspicion // guarded by mu: the last one; nil: none yet
}

// LeadsBackKnown reports whether the server was found to lead back to us not long ago.
func (g *LoopGuard) LeadsBackKnown() bool {
	left := time.Duration(g.LoopsUntil.Load() - time.Now().UnixNano())
	return 0 < left && left <= LoopPause+expiring.ClockSlack // not for longer when the clock was set back
}

// loopGuards are the loop guards of a route's servers whose addresses are looked up and may
// change.
type loopGuards struct {
	mu     sync.Mutex
	byAddr map[netip.AddrPort]*LoopGuard // guarded by mu
}

// maxLoopGuards is how many addresses have a loop guard: more than the servers of a route
// have. The limit is needed since the owner of a server's name can change its addresses at
// will.
const maxLoopGuards = 64

// of returns the guard of the server at addr. Idle guards are removed when there are too
// many.
func (g *loopGuards) of(addr netip.AddrPort) *LoopGuard {
	g.mu.Lock()
	defer g.mu.Unlock()
	guard, ok := g.byAddr[addr]
	if ok {
		return guard
	}
	if len(g.byAddr) >= maxLoopGuards {
		maps.DeleteFunc(g.byAddr, func(_ netip.AddrPort, guard *LoopGuard) bool { return guard.isIdle() })
	}
	guard = new(LoopGuard)
	switch {
	case g.byAddr == nil:
		g.byAddr = map[netip.AddrPort]*LoopGuard{addr: guard}
	case len(g.byAddr) < maxLoopGuards:
		g.byAddr[addr] = guard
	}
	return guard
}

// isIdle reports whether the guard can be dropped, as a new one would act the same.
func (g *LoopGuard) isIdle() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return !g.LeadsBackKnown() && (g.suspicion == nil || time.Since(g.suspicion.at) >= probePause)
}

// loopSuspicion is the test of whether a server leads back to us, and its result for a while
// after that. All questions that suspect the server share it.
type loopSuspicion struct {
	at   time.Time
	Done chan struct{}
	Loop bool // to be read when done is closed
}

// Suspect returns the current suspicion, or a new one, which the caller has to test.
func (g *LoopGuard) Suspect() (s *loopSuspicion, isNew bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if now := time.Now(); g.suspicion == nil || now.Sub(g.suspicion.at) >= probePause {
		g.suspicion, isNew = &loopSuspicion{at: now, Done: make(chan struct{})}, true
	}
	return g.suspicion, isNew
}

// LoopProbes are the names made up to see whether questions for them come back.
type LoopProbes struct {
	mu    sync.Mutex
	names map[dnsname.Name]chan struct{} // guarded by mu
}

// Begin makes up a name in zone. back is closed when a question for it comes in.
func (p *LoopProbes) Begin(zone dnsname.Name) (name dnsname.Name, back <-chan struct{}, forget func(), err error) {
	var random [15]byte
	rand.Read(random[:])
	label := "loop-" + strings.ToLower(base32.StdEncoding.EncodeToString(random[:]))
	if name, err = dnsname.Parse(label + "." + strings.TrimPrefix(zone.String(), ".")); err != nil {
		return "", nil, nil, err
	}
	came := make(chan struct{})
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.names == nil {
		p.names = make(map[dnsname.Name]chan struct{})
	}
	p.names[name] = came
	return name, came, func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.names, name)
	}, nil
}

// Arrived reports whether name is one that was made up here, and closes the channel that
// Begin returned for it.
func (p *LoopProbes) Arrived(name dnsname.Name) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	came, ok := p.names[name]
	if !ok {
		return false
	}
	select {
	case <-came:
	default:
		close(came)
	}
	return true
}

// ClientQuestions counts the questions of clients that are being worked on.
type ClientQuestions struct {
	mu     sync.Mutex
	counts map[answer.Question]int // guarded by mu
}

// Enter counts a question until leave is called.
func (a *ClientQuestions) Enter(q answer.Question) (leave func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.counts == nil {
		a.counts = make(map[answer.Question]int)
	}
	a.counts[q]++
	return func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		if a.counts[q]--; a.counts[q] == 0 {
			delete(a.counts, q)
		}
	}
}

// Count returns how many callers have entered q and not left.
func (a *ClientQuestions) Count(q answer.Question) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.counts[q]
}
