package resolver

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"time"

	"github.com/iterdns/iterdns/internal/rescue"
)

// eyeballs is one dial by name.
type eyeballs struct {
	network string
	port    string
	connect func(ctx context.Context, network, address string) (net.Conn, error)
	resolve func(ctx context.Context, out chan<- batch)
	order   func([]netip.Addr) // best first
	prefer4 bool               // IPv4 is waited for rather than IPv6
	trace   dialTrace
}

// The numbers of RFC 8305 §8.
const (
	// resolutionDelay is how long addresses of the family that is not preferred wait
	// for those of the other.
	resolutionDelay = 50 * time.Millisecond
	// attemptDelay is how long an attempt has before the next one begins beside it.
	attemptDelay = 250 * time.Millisecond
)

// maxAttempts is how many addresses one dial tries. A zone that somebody hostile owns
// can have hundreds of addresses, and every attempt is a packet to a host of its
// choice; who has reached none of 32 is offline.
const maxAttempts = 32

// inTurn tries the addresses one after the other.
func (e *eyeballs) inTurn(ctx context.Context) (net.Conn, error) {
	out := make(chan batch, len(addressTypes))
	e.resolve(ctx, out)
	var known batch
	for b := range out {
		known = batch{append(known.addrs, b.addrs...), b.err}
	}
	rescue.Again(known.err)
	e.order(known.addrs)
	e.trace.done(known)
	first := known.err
	for _, a := range known.addrs[:min(len(known.addrs), maxAttempts)] {
		c, err := e.connect(ctx, e.network, net.JoinHostPort(a.String(), e.port))
		if err == nil {
			return c, nil
		}
		if first == nil {
			first = err
		}
	}
	return nil, e.opError(first)
}

// opError makes a resolution's error one of dialling.
func (e *eyeballs) opError(err error) error {
	if op, ok := err.(*net.OpError); ok {
		return op
	}
	return &net.OpError{Op: "dial", Net: e.network, Err: err}
}

// race connects to the address that answers first. All that it has begun has ended when
// it returns.
func (e *eyeballs) race(ctx context.Context) (net.Conn, error) {
	inner, cancel := context.WithCancel(ctx)
	batches := make(chan batch, len(addressTypes))
	go e.resolve(inner, batches)
	run := &raceRun{eyeballs: e, batches: batches, results: make(chan attempt, maxAttempts)}
	defer func() {
		cancel()
		run.end()
	}()
	if err := run.await(ctx); err != nil {
		return nil, e.opError(err)
	}
	return run.connectAny(ctx, inner)
}

// attempt is how one connection attempt ended.
type attempt struct {
	conn net.Conn
	err  error
}

// raceRun is a race being run; it belongs to one goroutine.
type raceRun struct {
	*eyeballs
	batches  <-chan batch // nil: nothing more will come
	results  chan attempt
	waiting  []netip.Addr // not tried yet, best first
	started  int
	running  int
	previous netip.Addr // tried last
	failed   error      // the first failure
}

// await waits for addresses to begin with: the preferred family's, or all there will
// be, or, resolutionDelay after they came, the other's. RFC 8305 §3.
func (run *raceRun) await(ctx context.Context) error {
	var delay <-chan time.Time
	for run.batches != nil && !run.hasPreferred() {
		select {
		case b, ok := <-run.batches:
			run.take(b, ok)
		case <-delay:
			run.trace.done(batch{addrs: run.waiting})
			return nil
		case <-ctx.Done():
			// Resolution ends too, and says so in net's words.
			for b := range run.batches {
				run.take(b, true)
			}
			run.batches = nil
		}
		if delay == nil && len(run.waiting) > 0 {
			delay = time.After(resolutionDelay)
		}
	}
	run.trace.done(batch{run.waiting, run.failed})
	return run.failed
}

// hasPreferred reports whether there is an address of the family that is waited for.
func (run *raceRun) hasPreferred() bool {
	return slices.ContainsFunc(run.waiting, func(a netip.Addr) bool { return isIPv4(a) == run.prefer4 })
}

// take adds addresses to those that wait, in their order, the families in turn.
// RFC 8305 §4.
func (run *raceRun) take(b batch, ok bool) {
	if !ok {
		run.batches = nil
		return
	}
	rescue.Again(b.err)
	if b.err != nil {
		run.failed = b.err
		return
	}
	run.waiting = append(run.waiting, b.addrs...)
	run.order(run.waiting)
	run.waiting = interleave(run.waiting, run.previous)
}

// interleave takes addresses of the families in turn, beginning with the family of the
// first, or with the other family than previous was of. Each family keeps its order.
func interleave(addrs []netip.Addr, previous netip.Addr) []netip.Addr {
	if len(addrs) == 0 {
		return addrs
	}
	take4 := isIPv4(addrs[0])
	if previous.IsValid() {
		take4 = !isIPv4(previous)
	}
	rest, mixed := slices.Clone(addrs), make([]netip.Addr, 0, len(addrs))
	for ; len(rest) > 0; take4 = !take4 {
		i := slices.IndexFunc(rest, func(a netip.Addr) bool { return isIPv4(a) == take4 })
		if i < 0 {
			return append(mixed, rest...) // one family is left
		}
		mixed = append(mixed, rest[i])
		rest = slices.Delete(rest, i, i+1)
	}
	return mixed
}

// connectAny runs attempts until one succeeds or nothing is left to try. RFC 8305 §5.
func (run *raceRun) connectAny(ctx, inner context.Context) (net.Conn, error) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for ctx.Err() == nil && run.mayGoOn() {
		var next <-chan time.Time
		if len(run.waiting) > 0 && run.started < maxAttempts {
			next = timer.C
		}
		select {
		case <-next:
			run.begin(inner)
			timer.Reset(attemptDelay)
		case a := <-run.results:
			run.running--
			rescue.Again(a.err)
			if a.err == nil {
				return a.conn, nil
			}
			if run.failed == nil {
				run.failed = a.err
			}
			timer.Reset(0)
		case b, ok := <-run.batches:
			run.takeLate(b, ok)
		case <-ctx.Done():
		}
	}
	return nil, run.whyNot(ctx)
}

// mayGoOn reports whether an attempt is running or may still begin.
func (run *raceRun) mayGoOn() bool {
	return run.running > 0 || run.started < maxAttempts && (len(run.waiting) > 0 || run.batches != nil)
}

// takeLate takes addresses that come when attempts have begun. That there are none is
// no failure of the dial.
func (run *raceRun) takeLate(b batch, ok bool) {
	if b.err == nil {
		run.take(b, ok)
	}
}

// begin starts the next attempt.
func (run *raceRun) begin(ctx context.Context) {
	a := run.waiting[0]
	run.waiting = run.waiting[1:]
	run.previous = a
	run.started++
	run.running++
	go func() {
		ended := attempt{err: rescue.ErrAborted}
		defer func() { run.results <- ended }()
		defer rescue.Into(&ended.err)
		ended.conn, ended.err = run.connect(ctx, run.network, net.JoinHostPort(a.String(), run.port))
	}()
}

// whyNot is the error of a race that nobody won: the first failure, as net.Dialer has
// it, or else the end of the caller's context.
func (run *raceRun) whyNot(ctx context.Context) error {
	if run.failed != nil {
		return run.opError(run.failed)
	}
	return run.opError(&endedError{withContext(ctx, context.Cause(ctx))})
}

// end waits for what is still running, and closes connections that came too late.
func (run *raceRun) end() {
	for ; run.running > 0; run.running-- {
		if a := <-run.results; a.conn != nil {
			a.conn.Close()
		}
	}
	if run.batches != nil {
		for range run.batches {
		}
	}
}
