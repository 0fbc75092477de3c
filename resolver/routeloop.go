package resolver

import (
	"context"
	"crypto/rand"
	"encoding/base32"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/cache"
	"github.com/iterdns/iterdns/internal/dnsname"
	"github.com/iterdns/iterdns/internal/rescue"
)

// ErrRouteLoop: a route leads back to this resolver, directly or by way of others.
var ErrRouteLoop = errors.New("route leads back to this resolver")

const (
	// loopPause is how long a server that leads back to us is not asked. Loops are repaired
	// by hand.
	loopPause = 30 * time.Second
	// probePause is how rarely one server is tested for a loop.
	probePause = 5 * time.Second
)

// leadsBack asks a server of a route for a name made up for it, and reports whether the
// question comes back to us. If so, the server is not asked for a while.
func (r *Resolver) leadsBack(ctx context.Context, rt *route, to *serverAddr) bool {
	name, back, forget, err := r.loopProbes.begin(rt.zone)
	if err != nil {
		return false // the zone's name is too long to add to
	}
	defer forget()
	q := question{name, dns.TypeHINFO}
	st := r.newQueryState(q, cache.Unchecked)
	ctx, cancel := context.WithDeadline(ctx, st.budget.deadline)
	defer cancel()
	asked := *to
	asked.tries, asked.estimate = 1, rt.view.infra.Estimate(r.config.Now(), to.addr)
	cut := &zoneCut{Delegation: rt.cut, source: rt.view.source}
	done := make(chan struct{})
	var ended error
	go func() {
		defer close(done)
		rescue.Guarded(&ended, func() { r.exchange(ctx, st, cut, q, &asked, reasonLoop, make(chan struct{}, 1)) })()
	}()
	came := false
	select {
	case <-back:
		came = true
	case <-done:
		select {
		case <-back: // the answer came the same way
			came = true
		default:
		}
	case <-r.base.Done():
	}
	cancel()
	<-done
	rescue.Again(ended)
	if came {
		to.guard.loopsUntil.Store(time.Now().Add(loopPause).UnixNano())
	}
	return came
}

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

func (c *serverAddr) leadsBackKnown() bool { return c.guard != nil && c.guard.leadsBackKnown() }

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

// isEcho reports whether the question put to a forwarder is also asked of us, apart from the
// client's question that it is for. That may come from another client, or from ourselves.
func (z *zoneQuery) isEcho() bool {
	others := z.r.clientQuestions.count(z.q)
	if z.st.clientQuestion == z.q {
		others--
	}
	return others > 0
}

// suspectLoop finds out whether a forwarder that is late waits for us: when the question put to
// it has come in meanwhile.
func (z *zoneQuery) suspectLoop(ctx context.Context) {
	rt := z.cut.source.route
	if !z.cut.source.forwards() || !z.isEcho() {
		return
	}
	for _, c := range z.servers.addrs {
		if !c.busy || c.guard == nil {
			continue
		}
		s, isNew := c.guard.suspect()
		if isNew {
			to := &serverAddr{addr: c.addr, name: c.name, forwarder: c.forwarder, guard: c.guard}
			z.r.spawn(func() {
				defer close(s.done)
				s.loop = z.r.leadsBack(z.r.base, rt, to) // others may wait for it when ctx has ended
			})
		}
		z.r.spawn(func() {
			select {
			case <-s.done:
			case <-ctx.Done():
				return
			}
			if !s.loop {
				return
			}
			select {
			case z.loops <- c:
			case <-ctx.Done():
			}
		})
	}
}

// takeLoop excludes a server that leads back to us, and reports whether no other server is
// left to wait for.
func (z *zoneQuery) takeLoop(c *serverAddr) (ended bool) {
	c.excluded = true
	z.errs = append(z.errs, fmt.Errorf("%s: %w", c.addr, ErrRouteLoop))
	for _, other := range z.servers.addrs {
		if other.busy && other != c || !other.excluded {
			return false
		}
	}
	return z.lookups == 0
}
