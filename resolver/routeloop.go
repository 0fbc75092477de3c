package resolver

import (
	"crypto/rand"
	"encoding/base32"
	"maps"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/iterdns/iterdns/internal/dnsname"
)

const (
	// loopPause is how long a server that leads back to us is not asked. Loops are repaired
	// by hand.
	loopPause = 30 * time.Second
	// probePause is how rarely one server is tested for a loop.
	probePause = 5 * time.Second
)

// loopGuard remembers whether one server of a route leads back to us.
type loopGuard struct {
	loopsUntil atomic.Int64 // until when it is not asked because it leads back, Unix time in ns

	mu        sync.Mutex
	suspicion *loopSuspicion // guarded by mu: the last one; nil: none yet
}

// leadsBackKnown reports whether the server was found to lead back to us not long ago.
func (g *loopGuard) leadsBackKnown() bool {
	left := time.Duration(g.loopsUntil.Load() - time.Now().UnixNano())
	return 0 < left && left <= loopPause+clockSlack // not for longer when the clock was set back
}

// loopGuards are the loop guards of a route's servers whose addresses are looked up and may
// change.
type loopGuards struct {
	mu     sync.Mutex
	byAddr map[netip.AddrPort]*loopGuard // guarded by mu
}

// maxLoopGuards is how many addresses have a loop guard: more than the servers of a route
// have. The limit is needed since the owner of a server's name can change its addresses at
// will.
const maxLoopGuards = 64

// of returns the guard of the server at addr. Idle guards are removed when there are too
// many.
func (g *loopGuards) of(addr netip.AddrPort) *loopGuard {
	g.mu.Lock()
	defer g.mu.Unlock()
	guard, ok := g.byAddr[addr]
	if ok {
		return guard
	}
	if len(g.byAddr) >= maxLoopGuards {
		maps.DeleteFunc(g.byAddr, func(_ netip.AddrPort, guard *loopGuard) bool { return guard.isIdle() })
	}
	guard = new(loopGuard)
	switch {
	case g.byAddr == nil:
		g.byAddr = map[netip.AddrPort]*loopGuard{addr: guard}
	case len(g.byAddr) < maxLoopGuards:
		g.byAddr[addr] = guard
	}
	return guard
}

// isIdle reports whether the guard can be dropped, as a new one would act the same.
func (g *loopGuard) isIdle() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return !g.leadsBackKnown() && (g.suspicion == nil || time.Since(g.suspicion.at) >= probePause)
}

// loopSuspicion is the test of whether a server leads back to us, and its result for a while
// after that. All questions that suspect the server share it.
type loopSuspicion struct {
	at   time.Time
	done chan struct{}
	loop bool // to be read when done is closed
}

// suspect returns the current suspicion, or a new one, which the caller has to test.
func (g *loopGuard) suspect() (s *loopSuspicion, isNew bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if now := time.Now(); g.suspicion == nil || now.Sub(g.suspicion.at) >= probePause {
		g.suspicion, isNew = &loopSuspicion{at: now, done: make(chan struct{})}, true
	}
	return g.suspicion, isNew
}

// loopProbes are the names made up to see whether questions for them come back.
type loopProbes struct {
	mu    sync.Mutex
	names map[dnsname.Name]chan struct{} // guarded by mu
}

// begin makes up a name in zone. back is closed when a question for it comes in.
func (p *loopProbes) begin(zone dnsname.Name) (name dnsname.Name, back <-chan struct{}, forget func(), err error) {
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

// arrived reports whether name is one that was made up here, and tells leadsBack that it
// came back.
func (p *loopProbes) arrived(name dnsname.Name) bool {
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

// clientQuestions counts the questions of clients that are being worked on.
type clientQuestions struct {
	mu     sync.Mutex
	counts map[question]int // guarded by mu
}

// enter counts a question until leave is called.
func (a *clientQuestions) enter(q question) (leave func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.counts == nil {
		a.counts = make(map[question]int)
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

func (a *clientQuestions) count(q question) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.counts[q]
}
